// One thread: while it waits, the CPU halts until something comes.
#include "guest/kernel/sched/scheduler.h"

#include <algorithm>

#include "guest/kernel/clock.h"
#include "guest/kernel/process.h"

namespace shoal::guest {
namespace {

constinit EventSources sources{};

}  // namespace

void add_event_source(EventSource& source) {
    sources.add(source);
}

Wake block(const Waiter& waiter, std::uint64_t deadline_ns) {
    while (true) {
        sources.take_events();
        if (waiter.is_woken()) {
            return Wake::woken;
        }
        if ((process().signals.pending() & ~process().signals.blocked()) != 0) {
            return Wake::interrupted;
        }
        if (deadline_ns != no_deadline && monotonic_ns() >= deadline_ns) {
            return Wake::timed_out;
        }
        const std::uint64_t until = std::min(deadline_ns, sources.deadline_ns());
        if (until == no_deadline) {
            wait_for_interrupt();
        } else {
            wait_until(until);
        }
    }
}

}  // namespace shoal::guest
