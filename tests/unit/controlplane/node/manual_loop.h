// ManualLoop: an event loop whose clock stands still until a test moves it.
#pragma once

#include <deque>
#include <map>
#include <utility>

#include "controlplane/store/event_loop.h"

namespace shoal::node::test {

class ManualLoop final : public store::EventLoop {
public:
    [[nodiscard]] Duration now() const override { return now_; }
    void post(Task task) override { tasks_.push_back(std::move(task)); }
    void call_after(Duration delay, Task task) override {
        timers_.emplace(now_ + delay, std::move(task));
    }

    // All that can happen without time.
    void settle() {
        while (!tasks_.empty()) {
            Task task = std::move(tasks_.front());
            tasks_.pop_front();
            task();
        }
    }
    // All that happens meanwhile, in order.
    void advance(Duration by) {
        const Duration end = now_ + by;
        settle();
        while (!timers_.empty() && timers_.begin()->first <= end) {
            now_ = timers_.begin()->first;
            Task task = std::move(timers_.begin()->second);
            timers_.erase(timers_.begin());
            task();
            settle();
        }
        now_ = end;
    }

private:
    Duration now_{};
    std::deque<Task> tasks_;
    std::multimap<Duration, Task> timers_;
};

}  // namespace shoal::node::test
