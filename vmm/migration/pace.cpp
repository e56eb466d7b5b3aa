// Rates.
#include "vmm/migration/pace.h"

#include <algorithm>

namespace shoal::migration {
namespace {

constexpr double window_bytes = 64 << 20;
// Pausing, the state there, loading it, and the answers: measured at 2 to 4 ms on one host.
constexpr std::chrono::microseconds fixed_downtime{3000};
// A wait is no shorter, so that one follows every few runs of pages and not each.
constexpr std::chrono::milliseconds shortest_wait{5};

}  // namespace

void Pace::add(std::uint64_t bytes, Clock::duration took) noexcept {
    bytes_ += static_cast<double>(bytes);
    seconds_ += std::chrono::duration<double>(took).count();
    if (bytes_ > window_bytes) {
        seconds_ *= window_bytes / bytes_;
        bytes_ = window_bytes;
    }
}

std::uint64_t Pace::bytes_per_s() const noexcept {
    return seconds_ > 0 ? static_cast<std::uint64_t>(bytes_ / seconds_) : 0;
}

std::chrono::microseconds Pace::time_of(std::uint64_t bytes) const noexcept {
    const std::uint64_t rate = std::max<std::uint64_t>(bytes_per_s(), 1);
    const double us = static_cast<double>(bytes) / static_cast<double>(rate) * 1e6;
    return std::chrono::microseconds{static_cast<std::int64_t>(us)};
}

std::chrono::microseconds Pace::expected_downtime(std::uint64_t bytes) const noexcept {
    return fixed_downtime + time_of(bytes);
}

Clock::duration Pace::spend(std::uint64_t bytes, Clock::time_point now) noexcept {
    if (max_bytes_per_s_ == 0) {
        return {};
    }
    const double seconds = static_cast<double>(bytes) / static_cast<double>(max_bytes_per_s_);
    free_at_ = std::max(free_at_, now) +
               std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    const Clock::duration wait = free_at_ - now;
    return wait < shortest_wait ? Clock::duration{} : wait;
}

}  // namespace shoal::migration
