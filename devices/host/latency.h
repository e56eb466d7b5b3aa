// Latency: the shortest, the longest and the sum of the times that something took. Told as
// Firecracker's LatencyAggregateMetrics: min_us, max_us, sum_us.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace shoal::host {

// Whoever holds its owner's lock writes it. All zero: nothing took any time yet.
struct Latency {
    std::uint64_t min_ns = 0;
    std::uint64_t max_ns = 0;
    std::uint64_t sum_ns = 0;

    // 0 ns do not exist, so that 0 is free to mean "none".
    void record(std::uint64_t took_ns) noexcept {
        took_ns = std::max<std::uint64_t>(took_ns, 1);
        min_ns = min_ns == 0 ? took_ns : std::min(min_ns, took_ns);
        max_ns = std::max(max_ns, took_ns);
        sum_ns += took_ns;
    }
    void merge(const Latency& other) noexcept {
        if (other.min_ns != 0) {
            min_ns = min_ns == 0 ? other.min_ns : std::min(min_ns, other.min_ns);
        }
        max_ns = std::max(max_ns, other.max_ns);
        sum_ns += other.sum_ns;
    }

    [[nodiscard]] std::uint64_t min_us() const noexcept { return min_ns / 1'000; }
    [[nodiscard]] std::uint64_t max_us() const noexcept { return max_ns / 1'000; }
    [[nodiscard]] std::uint64_t sum_us() const noexcept { return sum_ns / 1'000; }

    friend bool operator==(const Latency&, const Latency&) = default;
};

// How often and how long, written by one thread and read by any. No lock and no atomic
// read-modify-write: a reader may see one time in some of the values only.
class SharedLatency {
public:
    // On the one thread that writes.
    void record(std::uint64_t took_ns) noexcept {
        Latency next = latency();
        next.record(took_ns);
        min_ns_.store(next.min_ns, std::memory_order_relaxed);
        max_ns_.store(next.max_ns, std::memory_order_relaxed);
        sum_ns_.store(next.sum_ns, std::memory_order_relaxed);
        count_.store(count() + 1, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t count() const noexcept {
        return count_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] Latency latency() const noexcept {
        return {min_ns_.load(std::memory_order_relaxed), max_ns_.load(std::memory_order_relaxed),
                sum_ns_.load(std::memory_order_relaxed)};
    }

private:
    std::atomic<std::uint64_t> count_ = 0;
    std::atomic<std::uint64_t> min_ns_ = 0;
    std::atomic<std::uint64_t> max_ns_ = 0;
    std::atomic<std::uint64_t> sum_ns_ = 0;
};

}  // namespace shoal::host
