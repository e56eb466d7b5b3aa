// EventLoop: time and deferral as a parameter, so that a simulator can be the clock.
#pragma once

#include <chrono>
#include <functional>

namespace shoal::store {

class EventLoop {
public:
    using Task = std::move_only_function<void()>;
    using Duration = std::chrono::nanoseconds;

    virtual ~EventLoop() = default;

    // Monotonic, since some moment. Any thread.
    [[nodiscard]] virtual Duration now() const = 0;
    // Runs `task` on the loop's thread, after those posted before. Any thread.
    virtual void post(Task task) = 0;
    // The loop's thread. Not cancelled: the task finds out whether it is still wanted.
    virtual void call_after(Duration delay, Task task) = 0;
};

}  // namespace shoal::store
