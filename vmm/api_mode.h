// Firecracker's way: a configuration file, requests on a socket, or both, describe the microVM.
#pragma once

#include <cstdint>

#include "vmm/options.h"

namespace shoal::vmm {

// Returns the process's exit code when the microVM has ended. `now_us` is when the process started.
// Throws with one sentence.
[[nodiscard]] int run_with_api(const ApiOptions& options, std::uint64_t now_us);

}  // namespace shoal::vmm
