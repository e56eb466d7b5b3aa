// EventSource: something outside the program that makes conditions come true: a device, a timer.
#pragma once

#include <cstdint>

#include "guest/kernel/sched/wait_queue.h"

namespace shoal::guest {

class EventSource {
public:
    virtual ~EventSource() = default;

    // Takes what has come, and wakes who waits for it. Called on the kernel's stack, never in the
    // middle of other kernel code: before the CPU halts, after each interrupt, and on every tick.
    virtual void take_events() = 0;
    // When take_events() has something to do even if no interrupt comes (monotonic time).
    [[nodiscard]] virtual std::uint64_t deadline_ns() const { return no_deadline; }

private:
    friend class EventSources;
    EventSource* next_ = nullptr;
};

// All of them.
class EventSources {
public:
    void add(EventSource& source) noexcept {
        source.next_ = first_;
        first_ = &source;
    }
    void take_events() {
        for (EventSource* source = first_; source != nullptr; source = source->next_) {
            source->take_events();
        }
    }
    [[nodiscard]] std::uint64_t deadline_ns() const {
        std::uint64_t earliest = no_deadline;
        for (const EventSource* source = first_; source != nullptr; source = source->next_) {
            earliest = source->deadline_ns() < earliest ? source->deadline_ns() : earliest;
        }
        return earliest;
    }

private:
    EventSource* first_ = nullptr;
};

}  // namespace shoal::guest
