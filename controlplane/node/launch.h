// From a microVM's description to the command that runs it.
#pragma once

#include <string>

#include "controlplane/model/microvm.h"
#include "controlplane/node/runner.h"

namespace shoal::node {

struct LaunchPaths {
    std::string run_command;  // `shoal`
    std::string log;
    std::string fence{};       // the file of the VMM's deadline; empty: none
    std::string api_socket{};  // of the VMM's API; empty: none
};

// Of one that is saved while it runs twice its memory: what it writes takes pages of its own then,
// beside those that are being saved.
[[nodiscard]] CgroupLimits limits_of(const model::MicroVmSpec& spec);
[[nodiscard]] Launch make_launch(const model::MicroVmSpec& spec, const Attempt& attempt,
                                 const LaunchPaths& paths);

}  // namespace shoal::node
