// The two clocks of a migration: one that only runs, and the one that hosts share.
#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>

namespace shoal::migration {

using Clock = std::chrono::steady_clock;

[[nodiscard]] inline std::uint64_t us_since(Clock::time_point start) noexcept {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count());
}

[[nodiscard]] inline std::uint64_t realtime_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace shoal::migration
