// The leader's side: whether one host has been silent long enough for its epoch to be taken. Time
// is the leader's own monotonic clock.
//
// Silence is counted from when the last heartbeat was sent. What was on its way when etcd's leader
// died may be committed seconds later by the next one, so it can be heard long after its host has
// died. Heartbeats say when they were sent, by the sender's clock. By the leader's, one was sent no
// later than
//
//     when the one before it was heard + what the sender's clock counted from the one to the other
//
// since the one before was heard after it was sent, however long its way took. The clocks may show
// anything; only their rates matter, for the time between two heartbeats and for the deadline. They
// differ by less than a hundredth, which is counted on top of both. So the leader never begins to
// count before the host does, whose time begins when it sends, and the host has paused before the
// leader's time is over. The clock, CLOCK_BOOTTIME, goes on while a process or a host sleeps.
//
// Where that cannot be told silence counts from the hearing: of the first heartbeat that is heard,
// or the first of an epoch (a host that boots has another clock and another epoch), or one that
// claims to be sent before the one before, or to come from the future. What a wrong clock does is
// over with the next heartbeat, harms its own host alone, and takes nobody who is heard regularly.
//
// How long its microVMs run without the store each heartbeat says itself, so hosts may differ, and
// a deadline may change, while nobody has to agree with anybody.
//
// Only permission to try: the epoch is taken by compare-and-swap against the revision seen here, so
// a heartbeat that overtakes the decision makes it fail.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "controlplane/failover/host_fence.h"
#include "controlplane/model/host.h"

namespace shoal::failover {

struct SilenceLimits {
    // Scheduling delays; with what the clocks' rates may be wrong by, 0.25 s of the usual deadline.
    Time margin = std::chrono::milliseconds{210};
    // Looks further apart than this are a gap: the store or the leader itself was away.
    Time longest_gap = std::chrono::seconds{1};
    // What the living have after a gap to be heard again: two patiences of the store's client
    // (store/etcd_client.h), and 0.3 s for a host that is busy. And what each has from one of its
    // heartbeats to the next, whatever its clock says.
    Time settling = std::chrono::milliseconds{800};
    // After a gap in which requests were given up, whose senders ask anew in their own time.
    Time given_up_after = std::chrono::seconds{4};  // by the store's client
    Time long_settling = std::chrono::seconds{2};
};

class HostSilence {
public:
    explicit HostSilence(SilenceLimits limits = {}) noexcept : limits_{limits} {}

    // `heartbeat` is what the store has since `revision`, as somebody saw at `now`: also between
    // looks, or a host that dies as the store goes away would be silent only from its return on.
    // Not again where the revision is known. Of its values, which a host sent, none is trusted.
    void hear(std::int64_t revision, const model::Heartbeat& heartbeat, Time now) noexcept;

    // The store answered, at `now`, and nothing was heard but what hear() was told. True: the host
    // has been silent for longer than its deadline. A gap counts, for nobody extends his deadline
    // without the store, but it decides nothing until the living had time to be heard.
    [[nodiscard]] bool look(Time now) noexcept;

    // At the last look; nothing while that is too soon after a gap, or a heartbeat, to tell.
    [[nodiscard]] Time silent_for() const noexcept { return silent_for(settling_); }
    // For what a mistake does less harm to.
    [[nodiscard]] Time silent_for(Time settling) const noexcept;
    // The host's own.
    [[nodiscard]] Time deadline() const noexcept { return deadline_; }

private:
    [[nodiscard]] Time sent_at(const model::Heartbeat& heartbeat, Time now) const noexcept;

    SilenceLimits limits_;
    std::optional<Time> last_look_;
    Time looked_since_{};        // without a gap
    Time settling_{};            // from then on
    std::int64_t revision_ = 0;  // none yet
    model::Heartbeat last_;
    Time heard_{};  // that one
    Time silent_since_{};
    Time deadline_ = default_deadline;
};

}  // namespace shoal::failover
