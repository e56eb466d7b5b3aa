// What a thread does while it waits, on the host: what the test says. Time passes only in waits.
#pragma once

#include <cstdint>
#include <functional>

#include "guest/kernel/sched/event_source.h"

namespace shoal::guest::test {

// Called by every wait that finds its waiter not woken; should wake it. Without one, or when it
// does not, the wait ends at its deadline: the clock then stands there.
inline std::function<void()> while_blocked;
inline std::uint64_t clock_ns = 1'000;
inline EventSources event_sources;

// The calling thread's signals. A wait is interrupted by one that is pending and not blocked.
inline std::uint64_t pending_signals = 0;
inline std::uint64_t blocked_signals = 0;
void send_signal(unsigned number);

}  // namespace shoal::guest::test
