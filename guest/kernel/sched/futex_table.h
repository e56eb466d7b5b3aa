// FutexTable: threads that wait at addresses of their program's memory.
#pragma once

#include <array>
#include <cstdint>

#include "guest/kernel/sched/queue.h"
#include "guest/kernel/sched/wait_queue.h"

namespace shoal::guest {

// A 32-bit word of an address space.
struct FutexKey {
    const void* memory = nullptr;
    std::uint64_t address = 0;

    friend bool operator==(const FutexKey&, const FutexKey&) = default;
};

// Belongs to the thread that waits, and is in the table meanwhile.
struct FutexWaiter {
    FutexKey key;
    std::uint32_t bits = UINT32_MAX;  // FUTEX_WAIT_BITSET
    Waiter waiter{};
    QueueLink<FutexWaiter> link{};
};

class FutexTable {
public:
    void add(FutexWaiter& waiter) noexcept;
    // Does nothing for one that was woken.
    void remove(FutexWaiter& waiter) noexcept;

    // Wakes at most so many that wait for one of the bits, first come first served. How many.
    unsigned wake(const FutexKey& key, unsigned most, std::uint32_t bits = UINT32_MAX) noexcept;
    // Lets at most so many wait at `to` from now on. How many.
    unsigned requeue(const FutexKey& key, const FutexKey& to, unsigned most) noexcept;

private:
    using Bucket = Queue<FutexWaiter, &FutexWaiter::link>;

    [[nodiscard]] Bucket& bucket_of(const FutexKey& key) noexcept {
        return buckets_[key.address / sizeof(std::uint32_t) % buckets_.size()];
    }

    std::array<Bucket, 64> buckets_{};
};

}  // namespace shoal::guest
