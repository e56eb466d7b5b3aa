// The scheduler: what the CPU does while the program's threads wait.
#pragma once

#include <cstdint>

#include "guest/kernel/sched/event_source.h"
#include "guest/kernel/sched/wait_queue.h"

namespace shoal::guest {

// Looked at whenever something may have happened. Lives for ever.
void add_event_source(EventSource& source);

// Blocks the calling thread until the waiter is woken, the deadline, or a signal.
[[nodiscard]] Wake block(const Waiter& waiter, std::uint64_t deadline_ns);

}  // namespace shoal::guest
