// The run queue, and the ways into and out of it.
#include "guest/kernel/sched/scheduler.h"

#include <algorithm>

#include "guest/kernel/clock.h"
#include "guest/kernel/panic.h"
#include "guest/kernel/process.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/kernel/sched/queue.h"
#include "guest/kernel/sched/thread.h"
#include "guest/nub/nub.h"

namespace shoal::guest {
namespace {

constexpr std::uint8_t look_requested = 2;  // beside the nub's marks in shoal_interrupt_pending

constinit EventSources sources{};
constinit Queue<Thread, &Thread::run_link> runnable{};
// Threads that block until a deadline, by deadline.
constinit Queue<Thread, &Thread::deadline_link> sleepers{};

std::uint64_t deadline_of(const Thread& thread) {
    return thread.deadline_ns;
}

std::uint64_t first_deadline() {
    const std::uint64_t of_threads = sleepers.empty() ? no_deadline : sleepers.first()->deadline_ns;
    return std::min(of_threads, sources.deadline_ns());
}

void wake_sleepers() {
    if (sleepers.empty()) {
        return;
    }
    const std::uint64_t now = monotonic_ns();
    while (!sleepers.empty() && sleepers.first()->deadline_ns <= now) {
        make_runnable(*sleepers.pop_front());
    }
}

void take_events() {
    sources.take_events();
    wake_sleepers();
}

// Whether a thread can run now.
bool look_for_runnable() {
    Cpu& cpu = this_cpu();
    cpu.is_looking = true;
    take_events();
    cpu.is_looking = false;
    return !runnable.empty();
}

// Returns when a thread is runnable; the CPU halts meanwhile.
void wait_for_runnable() {
    while (!look_for_runnable()) {
        const std::uint64_t until = first_deadline();
        std::uint64_t timer = 0;
        if (until != no_deadline) {
            if (until <= monotonic_ns()) {
                continue;
            }
            timer = prepare_timer(until);
        }
        halt_cpu(timer);
        take_interrupts();
    }
}

void run_next() {
    Thread& next = *runnable.pop_front();
    next.state = Thread::State::running;
    if (&next != &current_thread()) {
        request_look();  // it may have got signals, or be killed, before it first runs
        switch_to(next);
    }
}

// Runs others until the calling thread is runnable and has its turn. With several CPUs the stack of
// a thread that waits must be free for the one that will run it.
void give_way() {
    if (runnable.empty()) {
        if (!several_cpus()) {
            wait_for_runnable();
        } else if (!look_for_runnable()) {
            switch_to(*this_cpu().idle);
            return;
        }
    }
    run_next();
}

// So that the program does not keep the CPU from others, however long it computes.
void set_preemption_timer() {
    std::uint64_t until = first_deadline();
    if (!runnable.empty()) {
        until = std::min(until, monotonic_ns() + time_slice_ns);
    }
    if (until != no_deadline) {
        set_timer(until);
    }
}

}  // namespace

void add_event_source(EventSource& source) {
    sources.add(source);
}

void request_look() {
    __atomic_fetch_or(&shoal_interrupt_pending, look_requested, __ATOMIC_RELAXED);
}

void make_runnable(Thread& thread) {
    if (thread.state != Thread::State::waiting) {
        return;
    }
    sleepers.remove(thread);
    thread.state = Thread::State::runnable;
    const bool is_only_one = runnable.empty();
    runnable.push_back(thread);
    // One that looks for a thread takes the first.
    if (several_cpus() && !(is_only_one && this_cpu().is_looking) && !call_idle_cpu()) {
        call_busy_cpu();
    }
    request_look();
}

void interrupt(Thread& thread) {
    make_runnable(thread);
    if (thread.state == Thread::State::running && thread.cpu != &this_cpu()) {
        call_cpu(*thread.cpu);
    }
}

Wake block(Waiter& waiter, std::uint64_t deadline_ns) {
    Thread& self = current_thread();
    waiter.set_thread(&self);
    Wake wake = Wake::woken;
    while (!waiter.is_woken()) {
        if (has_signals(self)) {
            wake = Wake::interrupted;
            break;
        }
        if (deadline_ns != no_deadline && monotonic_ns() >= deadline_ns) {
            wake = Wake::timed_out;
            break;
        }
        self.deadline_ns = deadline_ns;
        if (deadline_ns != no_deadline) {
            sleepers.insert_sorted(self, deadline_of);
        }
        self.state = Thread::State::waiting;
        give_way();
    }
    waiter.set_thread(nullptr);
    request_look();
    return wake;
}

void block_uninterrupted(Waiter& waiter) {
    Thread& self = current_thread();
    waiter.set_thread(&self);
    while (!waiter.is_woken()) {
        self.state = Thread::State::waiting;
        give_way();
    }
    waiter.set_thread(nullptr);
    request_look();
}

bool has_runnable() {
    return !runnable.empty();
}

bool is_at_rest() {
    return this_cpu().is_looking && runnable.empty() && others_are_idle();
}

void yield() {
    if (!runnable.empty()) {
        current_thread().state = Thread::State::runnable;
        runnable.push_back(current_thread());
        give_way();
        request_look();
    }
}

void idle() {
    while (true) {
        wait_for_runnable();
        run_next();
    }
}

void leave_thread() {
    current_thread().state = Thread::State::runnable;  // and in no queue: no wake changes that
    give_way();
    panic("a thread that has ended runs");
}

void look_around() {
    if (take_interrupts()) {
        take_events();
        yield();
    }
    // Others may have run: what yield() requested is done now.
    __atomic_and_fetch(&shoal_interrupt_pending, static_cast<std::uint8_t>(~look_requested),
                       __ATOMIC_RELAXED);
    set_preemption_timer();
}

bool sleep_until(std::uint64_t deadline_ns) {
    Waiter nobody;
    return block(nobody, deadline_ns) == Wake::timed_out;
}

void sleep_for(std::uint64_t nanoseconds) {
    sleep_until(nanoseconds > no_deadline - monotonic_ns() ? no_deadline
                                                           : monotonic_ns() + nanoseconds);
}

}  // namespace shoal::guest

extern "C" [[noreturn]] void shoal_idle() {
    shoal::guest::idle();
}

// Before the program of the running thread goes on: something was to look at.
extern "C" void shoal_handle_interrupt(shoal::guest::Registers*) {
    using namespace shoal::guest;
    const KernelLock lock;
    look_around();
    if (current_thread().end == Thread::End::wanted) {
        end_thread();
    }
    if (has_signals(current_thread()) || current_thread().signals.mask_before_call) {
        deliver_signals();
    }
    current_thread().call = Thread::no_call;
}
