// `shoal clone`: many microVMs from one template.
#pragma once

#include "controlplane/cli/options.h"

namespace shoal::cli {

// Runs the clones to their ends, with their output on stdout as it comes, also while others still
// start: line by line, each after the clone's id, when there are several. Where stderr is a
// terminal it shows how many of many have started and ended. The exit code of the first clone whose
// code is not 0, or 0. Throws CliError or std::system_error; then no clone is left.
[[nodiscard]] int clone(const CloneOptions& options);

}  // namespace shoal::cli
