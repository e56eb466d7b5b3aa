// Differences of unsigned numbers, each compared before it is used.
#include "controlplane/failover/host_silence.h"

#include <algorithm>

namespace shoal::failover {
namespace {

constexpr Time with_clock_error(Time time) noexcept {
    return time + time / 100;
}

Time deadline_of(const model::Heartbeat& heartbeat) noexcept {
    if (heartbeat.runs_until_ns <= heartbeat.sent_ns) {
        return default_deadline;  // It says nothing of it.
    }
    constexpr Time shortest = shortest_deadline;
    constexpr Time longest = longest_deadline;
    return Time{std::clamp<std::uint64_t>(heartbeat.runs_until_ns - heartbeat.sent_ns,
                                          shortest.count(), longest.count())};
}

}  // namespace

void HostSilence::hear(std::int64_t revision, const model::Heartbeat& heartbeat,
                       Time now) noexcept {
    if (revision == revision_) {
        return;
    }
    silent_since_ = sent_at(heartbeat, now);
    revision_ = revision;
    last_ = heartbeat;
    heard_ = now;
    deadline_ = deadline_of(heartbeat);
}

// Not before, by this clock, and not after it was heard.
Time HostSilence::sent_at(const model::Heartbeat& heartbeat, Time now) const noexcept {
    const auto heard_apart = static_cast<std::uint64_t>((now - heard_).count());
    if (revision_ == 0 || heartbeat.epoch != last_.epoch || heartbeat.sent_ns <= last_.sent_ns ||
        heartbeat.sent_ns - last_.sent_ns >= heard_apart) {
        return now;
    }
    const Time sent_apart{heartbeat.sent_ns - last_.sent_ns};
    return std::min(heard_ + with_clock_error(sent_apart), now);
}

bool HostSilence::look(Time now) noexcept {
    const Time gap = last_look_ ? now - *last_look_ : Time{};
    if (!last_look_ || gap > limits_.longest_gap) {
        looked_since_ = now;
        settling_ = gap > limits_.given_up_after ? limits_.long_settling : limits_.settling;
    }
    last_look_ = now;
    return silent_for() > with_clock_error(deadline_) + limits_.margin;
}

Time HostSilence::silent_for(Time settling) const noexcept {
    const bool is_settled = last_look_ && *last_look_ - std::max(looked_since_, heard_) >= settling;
    return is_settled ? *last_look_ - silent_since_ : Time{};
}

}  // namespace shoal::failover
