// The host's clocks: one that only runs, and the wall clock, which may be set.
#pragma once

#include <time.h>

#include <cstdint>

namespace shoal::host {

[[nodiscard]] inline std::uint64_t clock_ns(clockid_t clock) noexcept {
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(now.tv_nsec);
}
[[nodiscard]] inline std::uint64_t monotonic_ns() noexcept {
    return clock_ns(CLOCK_MONOTONIC);
}
[[nodiscard]] inline std::uint64_t monotonic_us() noexcept {
    return monotonic_ns() / 1000;
}
[[nodiscard]] inline std::uint64_t realtime_ns() noexcept {
    return clock_ns(CLOCK_REALTIME);
}
// Since 1970.
[[nodiscard]] inline std::uint64_t realtime_s() noexcept {
    return realtime_ns() / 1'000'000'000;
}

}  // namespace shoal::host
