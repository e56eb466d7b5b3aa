// LoopLock: how the event loop takes a mutex that other threads hold for microseconds.
//
// A host that has more to run than CPUs may stop such a thread in the middle, for many
// milliseconds. The loop has others to serve meanwhile: it waits for a moment, and otherwise has
// the reactor call the handler again.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <mutex>

#include "devices/host/clock.h"
#include "devices/host/reactor.h"
#include "devices/host/sanitizers.h"

namespace shoal::host {

class LoopLock {
public:
    static constexpr std::uint64_t patience_ns = 200'000;

    // In `handler`'s on_events(events). Not locked: return at once, all is arranged.
    LoopLock(std::mutex& mutex, Reactor& reactor, EventHandler& handler,
             std::uint32_t events) noexcept
        : lock_{mutex, std::try_to_lock} {
        if (!lock_ && !wait() && !reactor.defer(handler, events)) {
            lock_.lock();
        }
    }
    explicit operator bool() const noexcept { return lock_.owns_lock(); }

private:
    static int lock_until(pthread_mutex_t* mutex, const timespec& end) {
        if constexpr (has_tsan) {  // which does not know the other call
            return ::pthread_mutex_trylock(mutex);
        }
        return ::pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &end);
    }

    [[nodiscard]] bool wait() noexcept {
        const std::uint64_t end_ns = monotonic_ns() + patience_ns;
        const timespec end{static_cast<time_t>(end_ns / 1'000'000'000),
                           static_cast<long>(end_ns % 1'000'000'000)};
        std::mutex& mutex = *lock_.mutex();
        if (lock_until(mutex.native_handle(), end) != 0) {
            return false;
        }
        lock_ = std::unique_lock{mutex, std::adopt_lock};
        return true;
    }

    std::unique_lock<std::mutex> lock_;
};

}  // namespace shoal::host
