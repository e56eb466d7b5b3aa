// The scheduler: which thread runs, and what the CPU does when all of them wait.
//
// Round robin among the threads that can run; nobody has priority. A thread gives the CPU away when
// it blocks, or when an interrupt finds others that can run: of a device, or of the timer, which is
// set only while somebody could use it.
#pragma once

#include <cstdint>

#include "guest/kernel/sched/event_source.h"
#include "guest/kernel/sched/wait_queue.h"

namespace shoal::guest {

struct Thread;

// How long a thread computes before others that can run get the CPU.
inline constexpr std::uint64_t time_slice_ns = 5'000'000;

// Looked at whenever something may have happened. Lives for ever.
void add_event_source(EventSource& source);

// Blocks the calling thread until the waiter is woken, the deadline, or a signal.
[[nodiscard]] Wake block(Waiter& waiter, std::uint64_t deadline_ns);

// The same until the waiter is woken and nothing else: for what ends by itself, as a disk's
// request.
void block_uninterrupted(Waiter& waiter);
// Whether others could run now.
[[nodiscard]] bool has_runnable();

// Of an event source within take_events(): whether all threads wait, and the CPUs are to halt.
[[nodiscard]] bool is_at_rest();

// The thread of a waiter that was woken, or a new one: it runs when its turn comes.
void make_runnable(Thread& thread);
// Ends what the thread blocks in, if anything, with Wake::interrupted.
void interrupt(Thread& thread);
// Before the running thread returns to its program, the kernel looks whether signals, timers or
// other threads want something. Also to be called when an event source has an earlier deadline.
void request_look();
// That look.
void look_around();

// Lets others run first.
void yield();
// With several CPUs: what the calling one does on its idle thread.
[[noreturn]] void idle();
// Leaves a thread that is in no queue any more, for ever.
[[noreturn]] void leave_thread();

// Blocks the calling thread for so long; false when a signal came first.
bool sleep_until(std::uint64_t deadline_ns);
void sleep_for(std::uint64_t nanoseconds);

}  // namespace shoal::guest
