// A microVM that the command line describes: built, run and gone. No API, no configuration file.
#pragma once

#include <cstdint>

#include "vmm/options.h"

namespace shoal::vmm {

// Returns the process's exit code. `now_us` is when the process started, if nobody says better.
// Throws with one sentence.
[[nodiscard]] int run_direct(const DirectOptions& options, std::uint64_t now_us);

}  // namespace shoal::vmm
