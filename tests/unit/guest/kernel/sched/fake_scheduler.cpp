// The scheduler of unit tests: nobody else runs.
#include "tests/unit/guest/kernel/sched/fake_scheduler.h"

#include <algorithm>

#include "guest/kernel/clock.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/kernel/thread_signals.h"

namespace shoal::guest {
namespace {

std::optional<std::uint64_t> mask_before_call;
WaitQueue sent_signals;

}  // namespace

void test::send_signal(unsigned number) {
    pending_signals |= 1ULL << (number - 1);
    sent_signals.wake_all();
}

void add_event_source(EventSource& source) {
    test::event_sources.add(source);
}

Wake block(Waiter& waiter, std::uint64_t deadline_ns) {
    if (test::while_blocked) {
        test::while_blocked();
    }
    constexpr int events_max = 1000;  // of a timer that nobody reads
    for (int events = 0; !waiter.is_woken() && events < events_max; ++events) {
        test::event_sources.take_events();
        if (waiter.is_woken()) {
            break;
        }
        if ((test::pending_signals & ~test::blocked_signals) != 0) {
            return Wake::interrupted;
        }
        const std::uint64_t next = std::min(deadline_ns, test::event_sources.deadline_ns());
        if (next == no_deadline) {
            return Wake::timed_out;  // a wait for ever, in which nothing happens
        }
        test::clock_ns = std::max(test::clock_ns, next);
        if (next == deadline_ns) {
            return Wake::timed_out;
        }
    }
    return waiter.is_woken() ? Wake::woken : Wake::timed_out;
}

void block_uninterrupted(Waiter& waiter) {
    static_cast<void>(block(waiter, no_deadline));
}

std::uint64_t monotonic_ns() {
    return test::clock_ns;
}

std::uint64_t realtime_ns() {
    return test::clock_ns + 1'700'000'000'000'000'000;
}

void set_mask_during_call(std::uint64_t mask) {
    mask_before_call = test::blocked_signals;
    test::blocked_signals = mask;
}

void call_is_not_restarted() {}

void restore_mask() {
    test::blocked_signals = mask_before_call.value_or(test::blocked_signals);
    mask_before_call.reset();
}

std::uint64_t pending_signals() {
    return test::pending_signals;
}

std::optional<SignalInfo> take_signal(std::uint64_t set) {
    if ((test::pending_signals & set) == 0) {
        return std::nullopt;
    }
    const auto number = static_cast<unsigned>(__builtin_ctzll(test::pending_signals & set)) + 1;
    test::pending_signals &= ~(1ULL << (number - 1));
    return SignalInfo{number, -6, 1};
}

WaitQueue& signal_queue() {
    return sent_signals;
}

void make_runnable(Thread&) {}

}  // namespace shoal::guest
