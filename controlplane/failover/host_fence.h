// The host's side of fencing: until when its microVMs may run. No clock and no I/O: time is a
// parameter, counted from any fixed moment of the host's monotonic clock.
//
// Safe because the leader, which waits for longer than the same deadline, begins to count no sooner
// than this host does (host_silence.h).
#pragma once

#include <algorithm>
#include <chrono>

namespace shoal::failover {

using Time = std::chrono::nanoseconds;

inline constexpr Time default_deadline = std::chrono::seconds{4};
// A shorter one would end in every election of etcd's, even of members that are near each other.
inline constexpr std::chrono::seconds shortest_deadline{2};
inline constexpr std::chrono::seconds longest_deadline{60};

class HostFence {
public:
    // `lost`: somebody took the epoch; the microVMs belong to others and are stopped for good.
    enum class State { running, paused, lost };

    explicit HostFence(Time deadline = default_deadline) noexcept : deadline_{deadline} {}

    // The store committed, under this host's epoch, a heartbeat that was sent at `sent`. Answers
    // may be late or out of order: an older one never shortens the time. A late one may end a
    // pause: whoever takes the epoch compares the heartbeat's revision, and so has seen this one.
    void on_acknowledged(Time sent) noexcept {
        last_sent_ = acknowledged_ ? std::max(last_sent_, sent) : sent;
        acknowledged_ = true;
    }

    // A heartbeat was refused because the epoch is no longer this host's.
    void on_epoch_lost() noexcept { lost_ = true; }

    [[nodiscard]] State state(Time now) const noexcept {
        if (lost_) {
            return State::lost;
        }
        // A difference, not a sum: a time near the end of the range must not wrap.
        const bool in_time = acknowledged_ && now - last_sent_ < deadline_;
        return in_time ? State::running : State::paused;
    }

    // Of one that was acknowledged: the end of its time, to be told to each VMM.
    [[nodiscard]] Time runs_until() const noexcept { return last_sent_ + deadline_; }

private:
    Time deadline_;
    Time last_sent_{};
    bool acknowledged_ = false;
    bool lost_ = false;
};

}  // namespace shoal::failover
