// Durations as programs give them.
#pragma once

#include <sys/time.h>

#include <cstdint>

#include "guest/kernel/errno.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest {

// Nanoseconds of a struct timespec, at most 136 years. Errno::fault, Errno::inval.
[[nodiscard]] Result<std::uint64_t> read_duration(UserAddress from);

[[nodiscard]] inline timeval timeval_of(std::uint64_t ns) {
    constexpr std::uint64_t second_ns = 1'000'000'000;
    return {static_cast<time_t>(ns / second_ns), static_cast<suseconds_t>(ns % second_ns / 1000)};
}

}  // namespace shoal::guest
