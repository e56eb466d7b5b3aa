// BackOff: until when what has ended waits before it is begun again: after failures 1 s, 2 s, 4 s,
// ... and at most 60 s; after a long run not at all.
#pragma once

#include <algorithm>
#include <chrono>

namespace shoal::model {

class BackOff {
public:
    using Time = std::chrono::nanoseconds;

    Time until{};  // by the owner's clock, which may postpone it for reasons of its own

    void note_failure(Time now, Time ran_for) noexcept {
        failures_ = ran_for >= long_run ? 0 : std::min(failures_ + 1, most_failures);
        wait_from(now);
    }
    // A job that is done is no failure, but its successor need not come at once either.
    void note_success(Time now) noexcept {
        failures_ = 1;
        wait_from(now);
    }

private:
    static constexpr std::chrono::seconds long_run{60};
    static constexpr std::chrono::seconds longest{60};
    static constexpr unsigned most_failures = 7;

    void wait_from(Time now) noexcept {
        until = now + std::min<Time>(std::chrono::seconds{(1U << failures_) / 2}, longest);
    }

    unsigned failures_ = 0;  // in a row
};

}  // namespace shoal::model
