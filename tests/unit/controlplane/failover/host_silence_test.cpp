#include "controlplane/failover/host_silence.h"

#include <doctest/doctest.h>

#include <limits>

using namespace std::chrono_literals;
using shoal::failover::default_deadline;
using shoal::failover::HostSilence;
using shoal::failover::Time;
using shoal::model::Heartbeat;

namespace {

constexpr Time period = 500ms;
// Between the clocks of the host and of who looks.
constexpr Time apart = 1000s;

// Of a host whose deadline is usual, sent at this moment of the clock of who looks.
Heartbeat sent(Time at, Time deadline = default_deadline) {
    Heartbeat heartbeat{3, 7};
    heartbeat.sent_ns = static_cast<std::uint64_t>((at + apart).count());
    heartbeat.runs_until_ns = static_cast<std::uint64_t>((at + apart + deadline).count());
    return heartbeat;
}

// Looks every half second, the ends included; whether any of them found the host silent.
bool any_silent(HostSilence& silence, Time from, Time to) {
    bool silent = false;
    for (Time now = from; now <= to; now += period) {
        silent = silence.look(now) || silent;
    }
    return silent;
}

// Heard as it was sent, and looked at for a second.
struct Heard : HostSilence {
    Heard() {
        hear(7, sent(0s), 0s);
        CHECK_FALSE(any_silent(*this, 0s, 1s));
    }
    // After the store was away: whether it is silent just then, but was not a moment before.
    bool is_silent_from(Time time) {
        CHECK_FALSE(any_silent(*this, 2s, time - 1ms));
        CHECK_FALSE(look(time));
        return look(time + 1ms);
    }
};

}  // namespace

TEST_CASE("a host is silent only after its deadline and the margin") {
    HostSilence silence{{.margin = 460ms, .longest_gap = 1s}};
    silence.hear(7, sent(0s), 0s);
    CHECK_FALSE(any_silent(silence, 0s, 4500ms));
    CHECK(silence.look(4500ms + 1ns));
}

TEST_CASE("a heartbeat starts a host's silence anew") {
    HostSilence silence;
    silence.hear(7, sent(0s), 0s);
    CHECK_FALSE(any_silent(silence, 0s, 4s));
    silence.hear(8, sent(4500ms), 4500ms);
    CHECK_FALSE(any_silent(silence, 4500ms, 8500ms));
    CHECK(silence.look(9s));
}

TEST_CASE("a host is silent from when it was heard, also where nobody looked soon after") {
    Heard silence;
    silence.hear(8, sent(1100ms), 1100ms);
    CHECK_FALSE(any_silent(silence, 3s, 5350ms));
    CHECK(silence.look(5351ms));
}

TEST_CASE("a heartbeat that comes late counts from when it was sent, and no earlier") {
    Heard silence;
    SUBCASE("by the time that its host's clock counted since the one before") {
        silence.hear(8, sent(500ms), 3s);
        // 0.5 s by a clock that may be too slow by a hundredth.
        CHECK(silence.is_silent_from(500ms + 5ms + 4250ms));
    }
    SUBCASE("when the one before was late as well") {
        silence.hear(8, sent(500ms), 700ms);
        silence.hear(9, sent(1s), 3s);
        CHECK(silence.is_silent_from(1200ms + 5ms + 4250ms));
    }
    SUBCASE("and others were not heard") {
        silence.hear(11, sent(2s), 3s);
        CHECK(silence.is_silent_from(2s + 20ms + 4250ms));
    }
    SUBCASE("but not later than it was heard, where its way was the shorter one") {
        silence.hear(8, sent(2s), 1900ms);
        CHECK(silence.is_silent_from(1900ms + 4250ms));
    }
}

TEST_CASE("a heartbeat whose sending cannot be told counts from when it was heard") {
    Heard silence;
    Heartbeat heartbeat = sent(500ms);
    SUBCASE("of another epoch: the host may have booted, and its clock begun anew") {
        ++heartbeat.epoch;
    }
    SUBCASE("without a time") {
        heartbeat = {heartbeat.epoch, heartbeat.sequence};
    }
    SUBCASE("from before the one before") {
        heartbeat = sent(-1ms);
    }
    SUBCASE("from the same moment") {
        heartbeat = sent(0s);
    }
    SUBCASE("from the future") {
        heartbeat = sent(3s);
    }
    SUBCASE("from the end of all times") {
        heartbeat.sent_ns = std::numeric_limits<std::uint64_t>::max();
    }
    silence.hear(8, heartbeat, 3s);
    CHECK(silence.is_silent_from(3s + 4250ms));
}

TEST_CASE("a host that is heard regularly is never silent, whatever its clock says") {
    HostSilence silence;
    Heartbeat heartbeat = sent(0s);
    heartbeat.runs_until_ns = 0;
    silence.hear(1, heartbeat, 0s);
    SUBCASE("of one that hangs as it is suspended") {
        CHECK_FALSE(any_silent(silence, 0s, 4s));
        ++heartbeat.sent_ns;
        silence.hear(2, heartbeat, 4s);
        CHECK_FALSE(any_silent(silence, 4s, 4500ms));
        heartbeat.sent_ns += 500'000'000;
        silence.hear(3, heartbeat, 4600ms);
        CHECK_FALSE(any_silent(silence, 4600ms, 8600ms));
    }
    SUBCASE("of one that stands still") {
        for (int beat = 2; beat < 100; ++beat) {
            ++heartbeat.sent_ns;
            silence.hear(beat, heartbeat, (beat - 1) * period);
            CHECK_FALSE(silence.look((beat - 1) * period));
            CHECK(silence.silent_for(0s) <= period);
        }
    }
}

TEST_CASE("a host's deadline is what its heartbeat says, within the bounds") {
    HostSilence silence;
    const auto is_deadline = [&silence](Time said, Time counted) {
        silence.hear(7, sent(0s, said), 0s);
        CHECK(silence.deadline() == counted);
        const Time end = counted + counted / 100 + 210ms;
        CHECK_FALSE(any_silent(silence, 0s, end));
        CHECK_FALSE(silence.look(end));
        return silence.look(end + 1ns);
    };
    SUBCASE("shorter than usual") {
        CHECK(is_deadline(2s, 2s));
    }
    SUBCASE("longer") {
        CHECK(is_deadline(60s, 60s));
    }
    SUBCASE("none at all") {
        CHECK(is_deadline(0s, 4s));
    }
    SUBCASE("over before it began") {
        CHECK(is_deadline(-1s, 4s));
    }
    SUBCASE("too short") {
        CHECK(is_deadline(1ns, 2s));
    }
    SUBCASE("too long") {
        CHECK(is_deadline(61s, 60s));
    }
    SUBCASE("without end") {
        CHECK(is_deadline(Time::max() - apart, 60s));
    }
}

TEST_CASE("after a gap nothing is decided until the living had time to be heard") {
    Heard silence;
    CHECK_FALSE(any_silent(silence, 60s, 61500ms));
    CHECK(silence.silent_for() == 0s);
    SUBCASE("then the gap counts") {
        CHECK(silence.look(62s));
    }
    SUBCASE("and who is heard begins anew") {
        silence.hear(8, sent(62s), 62s);
        CHECK_FALSE(any_silent(silence, 62s, 66s));
        CHECK(silence.look(66500ms));
    }
}

TEST_CASE("a gap delays no decision that is due after it has settled") {
    HostSilence silence;
    silence.hear(7, sent(0s), 0s);
    CHECK_FALSE(any_silent(silence, 0s, 500ms));
    CHECK_FALSE(any_silent(silence, 2s, 4s));
    CHECK(silence.silent_for() == 4s);
    CHECK(silence.look(4300ms));
}

TEST_CASE("the living have little time after a short gap, and more where requests were given up") {
    HostSilence silence;
    silence.hear(7, sent(0s), 0s);
    CHECK_FALSE(any_silent(silence, 0s, 500ms));
    SUBCASE("an election of the store's") {
        CHECK_FALSE(silence.look(4s));
        CHECK_FALSE(silence.look(4799ms));
        CHECK(silence.look(4800ms));
    }
    SUBCASE("longer than the store's client tries") {
        CHECK_FALSE(any_silent(silence, 4501ms, 6500ms));
        CHECK(silence.look(6501ms));
    }
    SUBCASE("and shorter than a host's own deadline") {
        silence.hear(8, sent(1s, 6s), 1s);
        CHECK_FALSE(any_silent(silence, 1s, 2s));
        CHECK_FALSE(any_silent(silence, 6501ms, 8500ms));
        CHECK(silence.look(8501ms));
    }
}
