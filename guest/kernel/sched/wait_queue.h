// WaitQueue: the waiters for one condition, for example that a pipe is readable.
//
// Whoever changes the condition wakes the queue. A wake says that the condition may have changed:
// a waiter joins first, then looks, then waits, and looks again after every wake. No allocation.
// Kernel code is not interrupted: no other thread runs between two waits, so there are no locks.
#pragma once

#include <cstdint>

namespace shoal::guest {

class WaitQueue;
struct Thread;

// No deadline, where one is wanted.
inline constexpr std::uint64_t no_deadline = UINT64_MAX;

enum class Wake {
    woken,
    timed_out,
    interrupted,  // a signal wants to be delivered
};

class Waiter;

// A place in a queue. Belongs to the caller, and outlives neither the waiter nor the queue.
class WaitPlace {
public:
    WaitPlace() = default;
    ~WaitPlace() { leave(); }
    WaitPlace(const WaitPlace&) = delete;
    WaitPlace& operator=(const WaitPlace&) = delete;

    void join(WaitQueue& queue, Waiter& waiter) noexcept;
    void leave() noexcept;

private:
    friend class WaitQueue;
    WaitQueue* queue_ = nullptr;
    Waiter* waiter_ = nullptr;
    WaitPlace* before_ = nullptr;
    WaitPlace* behind_ = nullptr;
};

// A thread that waits, in one queue or in several.
class Waiter {
public:
    Waiter() = default;
    virtual ~Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    // Blocks the calling thread until a wake since the last wait() returned, the deadline
    // (monotonic time), or a signal. Others may run meanwhile.
    [[nodiscard]] Wake wait(std::uint64_t deadline_ns);
    virtual void wake() noexcept;
    [[nodiscard]] bool is_woken() const noexcept { return woken_; }
    // Whether wake_one() wakes this one beside a thread, not instead of it.
    [[nodiscard]] virtual bool hears_every_wake() const noexcept { return false; }

    // block() only: the thread that a wake makes runnable.
    void set_thread(Thread* thread) noexcept { thread_ = thread; }

private:
    Thread* thread_ = nullptr;
    bool woken_ = false;
};

// Not a thread, but code that runs at every wake, for example to pass it on. It runs in the middle
// of whatever woke the queue: it must not wait, and must not change that queue.
class WakeListener : public Waiter {
public:
    void wake() noexcept final { on_wake(); }
    [[nodiscard]] bool hears_every_wake() const noexcept final { return true; }

protected:
    virtual void on_wake() noexcept = 0;
};

class WaitQueue {
public:
    WaitQueue() = default;
    ~WaitQueue();
    WaitQueue(const WaitQueue&) = delete;
    WaitQueue& operator=(const WaitQueue&) = delete;

    // In the order in which they joined. wake_one() wakes one thread, and all listeners.
    void wake_one() noexcept;
    void wake_all() noexcept;
    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }

private:
    friend class WaitPlace;
    WaitPlace* first_ = nullptr;
    WaitPlace* last_ = nullptr;
};

// Waits in one queue until `is_true()`: what most callers need.
template <class Condition>
[[nodiscard]] Wake wait_until_true(WaitQueue& queue, std::uint64_t deadline_ns,
                                   const Condition& is_true) {
    Waiter waiter;
    WaitPlace place;
    place.join(queue, waiter);
    while (!is_true()) {
        if (const Wake wake = waiter.wait(deadline_ns); wake != Wake::woken) {
            return is_true() ? Wake::woken : wake;
        }
    }
    return Wake::woken;
}

}  // namespace shoal::guest
