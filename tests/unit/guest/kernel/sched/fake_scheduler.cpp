// The scheduler of unit tests: nobody else runs.
#include "tests/unit/guest/kernel/sched/fake_scheduler.h"

#include "guest/kernel/sched/scheduler.h"

namespace shoal::guest {

Wake block(Waiter& waiter, std::uint64_t) {
    if (test::while_blocked) {
        test::while_blocked();
    }
    return waiter.is_woken() ? Wake::woken : Wake::timed_out;
}

void make_runnable(Thread&) {}

}  // namespace shoal::guest
