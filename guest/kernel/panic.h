// panic: a bug of ours or a machine we cannot run on. Prints one sentence and ends the microVM.
#pragma once

#include <cstdint>

namespace shoal::guest {

[[noreturn]] void panic(const char* sentence, std::uint64_t number = 0);

// Ends the microVM with this exit code. Output must have been flushed.
[[noreturn]] void power_off(std::uint32_t exit_code);

}  // namespace shoal::guest
