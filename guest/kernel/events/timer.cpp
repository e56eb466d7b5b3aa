// The armed timers, the earliest first. A program has few.
#include "guest/kernel/events/timer.h"

#include "guest/kernel/clock.h"
#include "guest/kernel/sched/scheduler.h"

namespace shoal::guest {

class Timers final : public EventSource {
public:
    void add(Timer& timer) noexcept {
        if (!is_source_) {
            is_source_ = true;
            add_event_source(*this);
        }
        Timer** at = &first_;
        while (*at != nullptr && (*at)->deadline_ns_ <= timer.deadline_ns_) {
            at = &(*at)->next_;
        }
        timer.next_ = *at;
        *at = &timer;
    }
    void remove(Timer& timer) noexcept {
        Timer** at = &first_;
        while (*at != &timer) {
            at = &(*at)->next_;
        }
        *at = timer.next_;
    }
    void take_events() override {
        if (first_ == nullptr) {
            return;
        }
        const std::uint64_t now = monotonic_ns();
        while (first_ != nullptr && first_->deadline_ns_ <= now) {
            Timer& due = *first_;
            due.disarm();
            due.on_expiry(now);
        }
    }
    [[nodiscard]] std::uint64_t deadline_ns() const override {
        return first_ == nullptr ? no_deadline : first_->deadline_ns_;
    }

private:
    Timer* first_ = nullptr;
    bool is_source_ = false;
};

namespace {

constinit Timers timers{};

}  // namespace

void Timer::arm(std::uint64_t deadline_ns) {
    disarm();
    deadline_ns_ = deadline_ns;
    is_armed_ = true;
    timers.add(*this);
}

void Timer::disarm() noexcept {
    if (is_armed_) {
        timers.remove(*this);
        is_armed_ = false;
    }
}

}  // namespace shoal::guest
