// From a microVM's description to the command that runs it.
#pragma once

#include <string>

#include "controlplane/model/microvm.h"
#include "controlplane/node/runner.h"

namespace shoal::node {

// `run_command` is the path of `shoal`.
[[nodiscard]] Launch make_launch(const model::MicroVmSpec& spec, const Attempt& attempt,
                                 const std::string& run_command, const std::string& log);

}  // namespace shoal::node
