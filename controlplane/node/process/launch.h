// From a microVM's description to the command that runs it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/model/microvm.h"
#include "controlplane/node/mirror/mirror.h"
#include "controlplane/node/process/runner.h"

namespace shoal::node {

struct LaunchPaths {
    std::string run_command;  // `shoal`
    std::string log;
    std::string fence{};                 // the file of the VMM's deadline; empty: none
    std::string api_socket{};            // of the VMM's API; empty: none
    std::vector<std::string> allowed{};  // what the VMM opens besides its own (Runner::allowed_of)
};

// Of `shoal-vmm` and of `shoal run`: no other files are opened by name.
[[nodiscard]] std::vector<std::string> allow_words(const std::vector<std::string>& paths);

// As it is admitted.
[[nodiscard]] CgroupLimits limits_of(const model::MicroVmSpec& spec);
[[nodiscard]] Launch make_launch(const model::MicroVmSpec& spec, const Attempt& attempt,
                                 const LaunchPaths& paths);

// Seconds that are left of its time limit to one that runs already, elsewhere: at least one, since
// whoever runs it there ends it; 0: it has none. Counted by the hosts' clocks, which may differ.
[[nodiscard]] std::uint64_t time_limit_left_s(const MicroVm& microvm, std::int64_t now_ms);

}  // namespace shoal::node
