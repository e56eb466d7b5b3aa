// `shoal run`: packs the program and becomes the microVM.
#pragma once

#include <cstdint>

#include "controlplane/cli/options.h"

namespace shoal::cli {

// Replaces this process by shoal-vmm, so that standard streams, signals and the exit code are the
// program's own. `started_us` is CLOCK_MONOTONIC when this process began, for --timing.
// Returns only by throwing CliError or std::system_error.
[[noreturn]] void run(const RunOptions& options, std::uint64_t started_us);

}  // namespace shoal::cli
