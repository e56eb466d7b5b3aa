#include "controlplane/failover/takeover_gate.h"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using shoal::failover::TakeoverGate;

TEST_CASE("failover stops when too many hosts are silent at once, and says so") {
    TakeoverGate gate{{.silent_hosts = 2, .silent_percent = 20}};
    gate.look(20, 100);
    CHECK(gate.reason().empty());
    CHECK(gate.try_take(1s));
    gate.look(21, 100);
    CHECK(gate.reason() == "failover is stopped: 21 of 100 hosts are silent, more than 20");
    CHECK_FALSE(gate.try_take(2s));
    gate.look(0, 100);
    CHECK(gate.try_take(3s));
}

TEST_CASE("in a small cluster two hosts may die, whatever part of it that is") {
    TakeoverGate gate{{.silent_hosts = 2, .silent_percent = 20}};
    gate.look(2, 3);
    CHECK(gate.try_take(1s));
    gate.look(3, 4);
    CHECK_FALSE(gate.try_take(1s));
}

TEST_CASE("takeovers come in a burst, then one by one") {
    TakeoverGate gate{{.burst = 3, .interval = 500ms}};
    int taken = 0;
    for (auto now = 10s + 0ms; now <= 12s; now += 100ms) {
        while (gate.try_take(now)) {
            ++taken;
        }
    }
    CHECK(taken == 3 + 4);
    CHECK(gate.try_take(100s));
}
