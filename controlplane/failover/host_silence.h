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
    // What the living have after a gap to be heard again: two patiences of the store's client
    // (store/etcd_client.h), and 0.3 s for a host that is busy.
    Time settling = std::chrono::milliseconds{800};
    // After a gap longer than the deadline, in which requests were given up: all look dead, and
    // nothing is urgent.
    Time long_settling = std::chrono::seconds{2};
};

class HostSilence {
public:
    explicit HostSilence(SilenceLimits limits = {}) noexcept : limits_{limits} {}

    // The heartbeat was last changed at `revision`, as somebody saw at `now`: also between looks,
    // or a host that dies as the store goes away would be silent only from its return on.
    void hear(std::int64_t revision, Time now) noexcept {
        if (revision != revision_) {
            revision_ = revision;
            silent_since_ = now;
        }
    }
    // The store answered, at `now`, that the heartbeat was last changed at `revision`. True: the
    // host has fallen silent for longer than its deadline. A gap counts, for nobody extends his
    // deadline without the store, but it decides nothing until the living had time to be heard.
    [[nodiscard]] bool look(std::int64_t revision, Time now) noexcept {
        const Time gap = last_look_ ? now - *last_look_ : Time{};
        if (!last_look_ || gap > limits_.longest_gap) {
            looked_since_ = now;
            settling_ = gap > limits_.deadline ? limits_.long_settling : limits_.settling;
        }
        hear(revision, now);
        last_look_ = now;
        return silent_for() > limits_.deadline + limits_.margin;
    }

    // At the last look; nothing while that is too soon after a gap to tell.
    [[nodiscard]] Time silent_for() const noexcept { return silent_for(settling_); }
    // For what a mistake does less harm to.
    [[nodiscard]] Time silent_for(Time settling) const noexcept {
        const bool is_settled = last_look_ && *last_look_ - looked_since_ >= settling;
        return is_settled ? *last_look_ - silent_since_ : Time{};
    }

private:
    SilenceLimits limits_;
    std::optional<Time> last_look_;
    Time looked_since_{};        // without a gap
    Time settling_{};            // from then on
    std::int64_t revision_ = 0;  // none yet
    Time silent_since_{};
};

}  // namespace shoal::failover
