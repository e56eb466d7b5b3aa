// Pace: how fast pages cross the wire, how long the rest would take, and how fast they may.
#pragma once

#include <chrono>
#include <cstdint>

#include "vmm/migration/times.h"

namespace shoal::migration {

class Pace {
public:
    // 0: no limit.
    explicit Pace(std::uint64_t max_bytes_per_s, Clock::time_point now) noexcept
        : max_bytes_per_s_{max_bytes_per_s}, free_at_{now} {}

    // Bytes that took so long, without the waits that the limit asks for.
    void add(std::uint64_t bytes, Clock::duration took) noexcept;

    // Measured: over the last 64 MiB or so. 0: nothing yet.
    [[nodiscard]] std::uint64_t bytes_per_s() const noexcept;
    // At that rate, without a limit.
    [[nodiscard]] std::chrono::microseconds time_of(std::uint64_t bytes) const noexcept;
    // Of a guest that stops with so many bytes left, which then go without a limit.
    [[nodiscard]] std::chrono::microseconds expected_downtime(std::uint64_t bytes) const noexcept;

    // Counts bytes against the limit; how long to wait before the next ones.
    [[nodiscard]] Clock::duration spend(std::uint64_t bytes, Clock::time_point now) noexcept;

private:
    std::uint64_t max_bytes_per_s_;
    Clock::time_point free_at_;  // when the limit has room again
    double bytes_ = 0;
    double seconds_ = 0;
};

}  // namespace shoal::migration
