// The leader's side: whether one host has been silent long enough for its epoch to be taken. Time
// is the leader's own monotonic clock; a new leader makes new objects and so starts afresh.
//
// Only permission to try: the epoch is taken by compare-and-swap against the revision seen here, so
// a heartbeat that overtakes the decision makes it fail.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "controlplane/failover/host_fence.h"

namespace shoal::failover {

struct SilenceLimits {
    Time deadline = default_deadline;              // the hosts' own
    Time margin = std::chrono::milliseconds{250};  // scheduling delays and clocks' rates
    // Looks further apart than this are a gap: the store or the leader itself was away.
    Time longest_gap = std::chrono::seconds{1};
};

class HostSilence {
public:
    explicit HostSilence(SilenceLimits limits = {}) noexcept : limits_{limits} {}

    // The store answered, at `now`, that the heartbeat was last changed at `revision`. True: the
    // host has fallen silent for longer than its deadline, while the store worked throughout.
    [[nodiscard]] bool look(std::int64_t revision, Time now) noexcept {
        const bool after_gap = !last_look_ || now - *last_look_ > limits_.longest_gap;
        last_look_ = now;
        if (after_gap || revision != revision_) {
            revision_ = revision;
            silent_since_ = now;
        }
        return now - silent_since_ > limits_.deadline + limits_.margin;
    }

    // At the last look.
    [[nodiscard]] Time silent_for() const noexcept {
        return last_look_ ? *last_look_ - silent_since_ : Time{};
    }

private:
    SilenceLimits limits_;
    std::optional<Time> last_look_;
    std::int64_t revision_ = 0;
    Time silent_since_{};
};

}  // namespace shoal::failover
