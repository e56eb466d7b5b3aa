#include "controlplane/failover/host_silence.h"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using shoal::failover::HostSilence;
using shoal::failover::Time;

namespace {

constexpr Time period = 500ms;

// Looks every half second, the ends included; whether any of them found the host silent.
bool any_silent(HostSilence& silence, std::int64_t revision, Time from, Time to) {
    bool silent = false;
    for (Time now = from; now <= to; now += period) {
        silent = silence.look(revision, now) || silent;
    }
    return silent;
}

}  // namespace

TEST_CASE("a host is silent only after its deadline and the margin") {
    HostSilence silence{{.deadline = 4s, .margin = 500ms, .longest_gap = 1s}};
    CHECK_FALSE(any_silent(silence, 7, 0s, 4500ms));
    CHECK(silence.look(7, 4500ms + 1ns));
}

TEST_CASE("a heartbeat starts a host's silence anew") {
    HostSilence silence;
    CHECK_FALSE(any_silent(silence, 7, 0s, 4s));
    CHECK_FALSE(any_silent(silence, 8, 4500ms, 8500ms));
    CHECK(silence.look(8, 9s));
}

TEST_CASE("a host is silent from when it was heard, also where nobody looked soon after") {
    HostSilence silence;
    CHECK_FALSE(any_silent(silence, 7, 0s, 500ms));
    silence.hear(8, 600ms);
    CHECK_FALSE(any_silent(silence, 8, 3s, 4850ms));
    CHECK(silence.look(8, 4851ms));
}

TEST_CASE("after a gap nothing is decided until the living had time to be heard") {
    HostSilence silence;
    CHECK_FALSE(any_silent(silence, 7, 0s, 1s));
    CHECK_FALSE(any_silent(silence, 7, 60s, 61500ms));
    CHECK(silence.silent_for() == 0s);
    SUBCASE("then the gap counts") {
        CHECK(silence.look(7, 62s));
    }
    SUBCASE("and who is heard begins anew") {
        CHECK_FALSE(any_silent(silence, 8, 62s, 66s));
        CHECK(silence.look(8, 66500ms));
    }
}

TEST_CASE("a gap delays no decision that is due after it has settled") {
    HostSilence silence;
    CHECK_FALSE(any_silent(silence, 7, 0s, 500ms));
    CHECK_FALSE(any_silent(silence, 7, 2s, 4s));
    CHECK(silence.silent_for() == 4s);
    CHECK(silence.look(7, 4300ms));
}

TEST_CASE(
    "the living have little time after a short gap, and more after one in which all look dead") {
    HostSilence silence;
    CHECK_FALSE(any_silent(silence, 7, 0s, 500ms));
    SUBCASE("an election of the store's") {
        CHECK_FALSE(silence.look(7, 4s));
        CHECK_FALSE(silence.look(7, 4799ms));
        CHECK(silence.look(7, 4800ms));
    }
    SUBCASE("longer than the deadline") {
        CHECK_FALSE(any_silent(silence, 7, 4501ms, 6500ms));
        CHECK(silence.look(7, 6501ms));
    }
}
