// Buckets of waiters, in the order of their coming.
#include "guest/kernel/sched/futex_table.h"

namespace shoal::guest {

void FutexTable::add(FutexWaiter& waiter) noexcept {
    bucket_of(waiter.key).push_back(waiter);
}

void FutexTable::remove(FutexWaiter& waiter) noexcept {
    bucket_of(waiter.key).remove(waiter);
}

unsigned FutexTable::wake(const FutexKey& key, unsigned most, std::uint32_t bits) noexcept {
    Bucket& bucket = bucket_of(key);
    unsigned count = 0;
    for (FutexWaiter* at = bucket.first(); at != nullptr && count < most;) {
        FutexWaiter& waiter = *at;
        at = Bucket::behind(waiter);
        if (waiter.key == key && (waiter.bits & bits) != 0) {
            bucket.remove(waiter);
            waiter.waiter.wake();
            ++count;
        }
    }
    return count;
}

unsigned FutexTable::requeue(const FutexKey& key, const FutexKey& to, unsigned most) noexcept {
    Bucket& bucket = bucket_of(key);
    unsigned count = 0;
    for (FutexWaiter* at = bucket.first(); at != nullptr && count < most;) {
        FutexWaiter& waiter = *at;
        at = Bucket::behind(waiter);
        if (waiter.key != key) {
            continue;
        }
        ++count;
        if (key != to) {  // as Linux counts them
            bucket.remove(waiter);
            waiter.key = to;
            bucket_of(to).push_back(waiter);
        }
    }
    return count;
}

}  // namespace shoal::guest
