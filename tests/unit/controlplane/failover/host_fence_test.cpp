#include "controlplane/failover/host_fence.h"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using shoal::failover::HostFence;
using State = shoal::failover::HostFence::State;

TEST_CASE("a host runs nothing before its first heartbeat is acknowledged") {
    CHECK(HostFence{}.state(0s) == State::paused);
}

TEST_CASE("a host pauses its microVMs at the deadline, counted from the sending") {
    HostFence fence{4s};
    fence.on_acknowledged(10s);
    CHECK(fence.state(14s - 1ns) == State::running);
    CHECK(fence.state(14s) == State::paused);
}

TEST_CASE("an older heartbeat's late answer does not shorten a host's time") {
    HostFence fence{4s};
    fence.on_acknowledged(10s);
    fence.on_acknowledged(8s);
    CHECK(fence.state(13s) == State::running);
}

TEST_CASE("a late answer ends a pause only until that heartbeat's own deadline") {
    HostFence fence{4s};
    fence.on_acknowledged(10s);
    CHECK(fence.state(15s) == State::paused);
    fence.on_acknowledged(13s);
    CHECK(fence.state(16s) == State::running);
    CHECK(fence.state(17s) == State::paused);
}

TEST_CASE("a host whose epoch was taken never runs its microVMs again") {
    HostFence fence{4s};
    fence.on_acknowledged(10s);
    fence.on_epoch_lost();
    fence.on_acknowledged(11s);
    CHECK(fence.state(11s) == State::lost);
}
