// Timer: something that happens at a time. All timers together are one event source.
#pragma once

#include <cstdint>

namespace shoal::guest {

class Timer {
public:
    Timer() = default;
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    // Monotonic time. Takes the place of an earlier one.
    void arm(std::uint64_t deadline_ns);
    void disarm() noexcept;

protected:
    virtual ~Timer() { disarm(); }
    // Once for each arm(), at the deadline or later. May arm() again.
    virtual void on_expiry(std::uint64_t now_ns) = 0;

private:
    friend class Timers;
    std::uint64_t deadline_ns_ = 0;
    bool is_armed_ = false;
    Timer* next_ = nullptr;
};

}  // namespace shoal::guest
