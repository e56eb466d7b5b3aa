// A migration's clock.
#pragma once

#include <chrono>
#include <cstdint>

namespace shoal::migration {

using Clock = std::chrono::steady_clock;

[[nodiscard]] inline std::uint64_t us_since(Clock::time_point start) noexcept {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count());
}

}  // namespace shoal::migration
