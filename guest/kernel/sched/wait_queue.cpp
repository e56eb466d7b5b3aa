// The lists of waiters.
#include "guest/kernel/sched/wait_queue.h"

#include <utility>

#include "guest/kernel/sched/scheduler.h"

namespace shoal::guest {

void WaitPlace::join(WaitQueue& queue, Waiter& waiter) noexcept {
    leave();
    queue_ = &queue;
    waiter_ = &waiter;
    before_ = std::exchange(queue.last_, this);
    (before_ != nullptr ? before_->behind_ : queue.first_) = this;
}

void WaitPlace::leave() noexcept {
    if (queue_ == nullptr) {
        return;
    }
    (before_ != nullptr ? before_->behind_ : queue_->first_) = behind_;
    (behind_ != nullptr ? behind_->before_ : queue_->last_) = before_;
    queue_ = nullptr;
    before_ = behind_ = nullptr;
}

WaitQueue::~WaitQueue() {
    while (first_ != nullptr) {
        first_->waiter_->wake();
        first_->leave();
    }
}

void WaitQueue::wake_one() noexcept {
    bool has_woken_thread = false;
    for (WaitPlace* place = first_; place != nullptr; place = place->behind_) {
        Waiter& waiter = *place->waiter_;
        if (waiter.hears_every_wake()) {
            waiter.wake();
        } else if (!has_woken_thread && !waiter.is_woken()) {
            has_woken_thread = true;
            waiter.wake();
        }
    }
}

void WaitQueue::wake_all() noexcept {
    for (WaitPlace* place = first_; place != nullptr; place = place->behind_) {
        place->waiter_->wake();
    }
}

Wake Waiter::wait(std::uint64_t deadline_ns) {
    if (!woken_) {
        if (const Wake wake = block(*this, deadline_ns); wake != Wake::woken) {
            return wake;
        }
    }
    woken_ = false;
    return Wake::woken;
}

void Waiter::wake() noexcept {
    woken_ = true;
    if (thread_ != nullptr) {
        make_runnable(*thread_);
    }
}

}  // namespace shoal::guest
