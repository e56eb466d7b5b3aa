// All processes' timers are one event source.
#include "guest/kernel/timers.h"

#include <algorithm>

#include "guest/kernel/clock.h"
#include "guest/kernel/process_table.h"
#include "guest/kernel/sched/scheduler.h"

namespace shoal::guest {
namespace {

void expire(Process& process, Timer& timer, std::uint64_t now) {
    timer.overruns = 0;
    if (timer.interval_ns == 0) {
        timer.deadline_ns = no_deadline;
    } else {
        const std::uint64_t missed = (now - timer.deadline_ns) / timer.interval_ns;
        timer.overruns = static_cast<std::uint32_t>(std::min<std::uint64_t>(missed, INT32_MAX));
        timer.deadline_ns += (missed + 1) * timer.interval_ns;
    }
    if (timer.info.number == 0) {
        return;
    }
    Thread* thread = timer.thread != 0 ? find_thread(timer.thread) : nullptr;
    static_cast<void>(thread != nullptr ? send_signal(*thread, timer.info)
                                        : send_signal(process, timer.info));
}

class TimerSource final : public EventSource {
public:
    void take_events() override {
        if (deadline_ns() == no_deadline) {
            return;
        }
        const std::uint64_t now = monotonic_ns();
        for (Process* process = first_process(); process != nullptr;
             process = next_process(*process)) {
            for (Timer& timer : process->timers) {
                if (timer.deadline_ns <= now) {
                    expire(*process, timer, now);
                }
            }
        }
    }

    [[nodiscard]] std::uint64_t deadline_ns() const override {
        std::uint64_t earliest = no_deadline;
        for (const Process* process = first_process(); process != nullptr;
             process = next_process(*process)) {
            for (const Timer& timer : process->timers) {
                earliest = std::min(earliest, timer.deadline_ns);
            }
        }
        return earliest;
    }
};

}  // namespace

void note_timers() {
    static TimerSource* source = nullptr;
    if (source == nullptr) {
        source = new TimerSource;
        add_event_source(*source);
    }
    request_look();
}

}  // namespace shoal::guest
