// Timeline: simulated time. What is to happen, in order of time and then of asking, in one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

#include "controlplane/store/event_loop.h"

namespace shoal::sim {

using Time = std::chrono::nanoseconds;
using Task = store::EventLoop::Task;

class Timeline {
public:
    [[nodiscard]] Time now() const noexcept { return now_; }
    [[nodiscard]] std::uint64_t step_count() const noexcept { return step_count_; }

    void at(Time time, Task task) {
        queue_.push({std::max(time, now_), ++asked_, std::make_shared<Task>(std::move(task))});
    }
    void after(Time delay, Task task) { at(now_ + delay, std::move(task)); }

    // The next one, if it is due by then; else time passes.
    bool step(Time until) {
        if (queue_.empty() || queue_.top().time > until) {
            now_ = std::max(now_, until);
            return false;
        }
        const Entry entry = queue_.top();
        queue_.pop();
        now_ = entry.time;
        ++step_count_;
        (*entry.task)();
        return true;
    }
    void run_until(Time until) {
        while (step(until)) {
        }
    }

private:
    struct Entry {
        Time time;
        std::uint64_t asked;
        std::shared_ptr<Task> task;  // top() is const

        bool operator<(const Entry& other) const noexcept {
            return std::pair{other.time, other.asked} < std::pair{time, asked};
        }
    };

    Time now_{};
    std::uint64_t asked_ = 0;
    std::uint64_t step_count_ = 0;
    std::priority_queue<Entry> queue_;
};

// The loop of one process: with a clock of its own, and it may be stopped (SIGSTOP) for a while.
// What it has yet to do ends with it.
class VirtualLoop final : public store::EventLoop {
public:
    struct Clock {
        Time offset{};
        double rate = 1.0;  // of its seconds to true ones
    };

    explicit VirtualLoop(Timeline& timeline) noexcept : VirtualLoop{timeline, Clock{}} {}
    VirtualLoop(Timeline& timeline, Clock clock) noexcept : timeline_{timeline}, clock_{clock} {}

    [[nodiscard]] Duration now() const override { return at(timeline_.now()); }
    // What this clock shows at a true time, and the other way round.
    [[nodiscard]] Time at(Time time) const noexcept {
        return clock_.offset +
               Time{static_cast<Time::rep>(static_cast<double>(time.count()) * clock_.rate)};
    }
    [[nodiscard]] Time true_time(Time shown) const noexcept {
        return Time{static_cast<Time::rep>(static_cast<double>((shown - clock_.offset).count()) /
                                           clock_.rate)};
    }
    void post(Task task) override { schedule(Time{}, std::move(task)); }
    void call_after(Duration delay, Task task) override {
        schedule(Time{static_cast<Time::rep>(static_cast<double>(delay.count()) / clock_.rate)},
                 std::move(task));
    }
    void set_clock(Clock clock) noexcept { clock_ = clock; }
    // Nothing runs before then.
    void stop_until(Time time) noexcept { stopped_until_ = time; }
    [[nodiscard]] bool is_stopped() const noexcept { return timeline_.now() < stopped_until_; }

private:
    void schedule(Time delay, Task task) {
        timeline_.after(delay,
                        [this, weak = std::weak_ptr{alive_}, task = std::move(task)]() mutable {
                            if (!weak.lock()) {
                                return;
                            }
                            if (is_stopped()) {
                                return schedule(stopped_until_ - timeline_.now(), std::move(task));
                            }
                            task();
                        });
    }

    Timeline& timeline_;
    Clock clock_;
    Time stopped_until_{-1};
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace shoal::sim
