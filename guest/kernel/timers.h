// Timers that end in a signal: setitimer's and timer_create's.
#pragma once

#include <cstdint>
#include <vector>

#include "guest/kernel/sched/wait_queue.h"
#include "guest/kernel/signal_queue.h"

namespace shoal::guest {

struct Timer {
    int id = 0;
    int thread = 0;  // SIGEV_THREAD_ID; 0: the process
    int clock = 0;
    SignalInfo info{};  // number 0: SIGEV_NONE
    std::uint64_t deadline_ns = no_deadline;
    std::uint64_t interval_ns = 0;
    std::uint32_t overruns = 0;
};

// What setitimer(ITIMER_REAL) sets, among the others.
inline constexpr int real_timer_id = -1;
inline constexpr std::size_t timer_limit = 256;  // per process

// A process's.
using Timers = std::vector<Timer>;

// To be called when a timer was set.
void note_timers();

}  // namespace shoal::guest
