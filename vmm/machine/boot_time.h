// How long a guest took from its start to its boot timer, for the log.
#pragma once

#include <cstdint>
#include <string>

namespace shoal::vmm {

// Of this process, in microseconds.
struct ProcessTimes {
    std::uint64_t monotonic_us = 0;
    std::uint64_t cpu_us = 0;  // user and system time of all threads

    [[nodiscard]] static ProcessTimes now() noexcept;
};

// "Guest-boot-time =   1234 us 1 ms,   5678 CPU us 5 CPU ms", in which Firecracker's clients look
// for the numbers.
[[nodiscard]] std::string boot_time_line(const ProcessTimes& started, const ProcessTimes& booted);

}  // namespace shoal::vmm
