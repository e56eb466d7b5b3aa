// `shoal clone`: many microVMs from one template.
#pragma once

#include "controlplane/cli/options.h"

namespace shoal::cli {

// Runs the clones to their ends, with their output on stdout: line by line, each after the clone's
// id when there are several. The exit code of the first clone whose code is not 0, or 0. Throws
// CliError or std::system_error; then no clone is left.
[[nodiscard]] int clone(const CloneOptions& options);

}  // namespace shoal::cli
