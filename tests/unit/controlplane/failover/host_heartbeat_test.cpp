#include "controlplane/failover/host_heartbeat.h"

#include <doctest/doctest.h>

#include "tests/unit/controlplane/failover/failover_fixture.h"

using namespace shoal;
using namespace shoal::failover;
using namespace shoal::failover::test;
using State = HostFence::State;

namespace {

struct Host final : HeartbeatListener {
    std::vector<model::Epoch> joined;
    Time runs_until{};
    int lost = 0;
    int name_taken = 0;

    void on_joined(model::Epoch epoch) override { joined.push_back(epoch); }
    void on_extended(Time until) override { runs_until = until; }
    void on_lost() override { ++lost; }
    void on_name_taken() override { ++name_taken; }
};

struct Fixture : Bench {
    LossyStore lossy{*this};
    Host host;
    HostHeartbeat heartbeats{loop, lossy, "h", host};

    void take_epoch() {
        const auto seen = heartbeat("h");
        put("/heartbeats/h", model::to_json(model::Heartbeat{seen->epoch + 1, 0}));
    }
};

}  // namespace

TEST_CASE("a new host claims the first epoch and beats twice a second") {
    Fixture fixture;
    fixture.heartbeats.start({});
    fixture.run(10s);
    CHECK(fixture.host.joined == std::vector<model::Epoch>{1});
    CHECK(fixture.heartbeat("h")->sequence >= 20);
    CHECK(fixture.host.runs_until == fixture.timeline.now() + 4s);
}

TEST_CASE("a host that starts without microVMs takes a new epoch, one with them keeps its own") {
    Fixture fixture;
    fixture.put("/heartbeats/h", R"({"epoch":7,"sequence":3})");
    SUBCASE("without") {
        fixture.heartbeats.start({});
        fixture.run(4s);  // Those of before may run for so long.
        CHECK(fixture.host.joined.empty());
        fixture.run(1s);
        CHECK(fixture.host.joined == std::vector<model::Epoch>{8});
    }
    SUBCASE("without, and the leader has seen to those of before") {
        fixture.put("/heartbeats/h", R"({"epoch":8,"sequence":0})");
        fixture.heartbeats.start({});
        fixture.run(100ms);
        CHECK(fixture.host.joined == std::vector<model::Epoch>{9});
    }
    SUBCASE("with them") {
        fixture.heartbeats.start(7);
        fixture.run(1s);
        CHECK(fixture.host.joined == std::vector<model::Epoch>{7});
        CHECK(fixture.heartbeat("h")->sequence > 3);
    }
    SUBCASE("with those of an epoch that others have taken") {
        fixture.heartbeats.start(6);
        fixture.run(1s);
        CHECK(fixture.host.joined.empty());
        CHECK(fixture.host.lost == 1);
        CHECK(fixture.heartbeat("h")->epoch == 7);
        fixture.heartbeats.rejoin();
        fixture.run(5s);
        CHECK(fixture.host.joined == std::vector<model::Epoch>{8});
    }
}

TEST_CASE("a heartbeat says until when the host runs, never less than one before it did") {
    Fixture fixture;
    const auto allowed = [&fixture] {
        const auto seen = fixture.heartbeat("h");
        return Time{seen->runs_until_ns - seen->sent_ns};
    };
    std::optional<HostHeartbeat> first{std::in_place, fixture.loop,
                                       fixture.lossy, "h",
                                       fixture.host,  HeartbeatTimes{.deadline = 10s}};
    first->start({});
    fixture.run(1200ms);
    CHECK(allowed() == 10s);
    const std::uint64_t until = fixture.heartbeat("h")->runs_until_ns;
    first.reset();
    fixture.heartbeats.start(1);  // with 4 s, of the same epoch
    fixture.run(3s);
    CHECK(fixture.heartbeat("h")->runs_until_ns == until);
    fixture.run(7s);
    CHECK(allowed() == 4s);
}

TEST_CASE("a host that boots waits for the deadline of the one before, not its own") {
    Fixture fixture;
    model::Heartbeat before{7, 3};
    before.sent_ns = 1;
    before.runs_until_ns = 10'000'000'001;
    fixture.put("/heartbeats/h", model::to_json(before));
    fixture.heartbeats.start({});
    fixture.run(10s);
    CHECK(fixture.host.joined.empty());
    fixture.run(1s);
    CHECK(fixture.host.joined == std::vector<model::Epoch>{8});
}

TEST_CASE("of two hosts of one name the second stops, and the first goes on") {
    Fixture fixture;
    fixture.heartbeats.start({});
    fixture.run(2s);
    Host second;
    HostHeartbeat its{fixture.loop, fixture.store, "h", second};
    SUBCASE("that lives") {
        its.start({});
        fixture.run(3s);
        CHECK(second.name_taken == 1);
        fixture.run(10s);
        CHECK(second.name_taken == 1);
        CHECK(second.joined.empty());
        CHECK(fixture.host.lost == 0);
        CHECK(fixture.heartbeats.epoch() == 1);
    }
    SUBCASE("that has died, and whose last heartbeat comes late") {
        fixture.lossy.loss = LossyStore::Loss::requests;
        its.start({});
        fixture.run(1s);
        model::Heartbeat late = *fixture.heartbeat("h");
        ++late.sequence;
        fixture.put("/heartbeats/h", model::to_json(late));
        fixture.run(4s);
        CHECK(second.joined.empty());
        fixture.run(1s);
        CHECK(second.joined == std::vector<model::Epoch>{2});
        CHECK(second.name_taken == 0);
    }
}

TEST_CASE("a host whose epoch is taken is told once, and joins again when it is told to") {
    Fixture fixture;
    fixture.heartbeats.start({});
    fixture.run(2s);
    fixture.take_epoch();
    fixture.run(2s);
    CHECK(fixture.host.lost == 1);
    CHECK(fixture.heartbeats.state(fixture.loop.now()) == State::lost);
    CHECK(fixture.heartbeat("h")->sequence == 0);
    fixture.heartbeats.rejoin();
    CHECK(fixture.heartbeats.state(fixture.loop.now()) == State::paused);
    fixture.run(1s);
    CHECK(fixture.host.joined == std::vector<model::Epoch>{1, 3});
}

TEST_CASE("a host that the store does not answer runs on to its deadline and no further") {
    Fixture fixture;
    fixture.heartbeats.start({});
    fixture.run(2s);
    const Time until = fixture.host.runs_until;
    fixture.lossy.loss = LossyStore::Loss::requests;
    fixture.run(10s);
    CHECK(fixture.host.runs_until == until);
    CHECK(fixture.heartbeats.state(until - 1ns) == State::running);
    CHECK(fixture.heartbeats.state(until) == State::paused);
    fixture.lossy.loss = LossyStore::Loss::nothing;
    fixture.run(1s);
    CHECK(fixture.heartbeats.state(fixture.loop.now()) == State::running);
    CHECK(fixture.host.joined.size() == 1);
}

TEST_CASE("an answer that is lost leaves nothing wrong behind") {
    Fixture fixture;
    fixture.heartbeats.start({});
    fixture.run(2s);
    fixture.lossy.loss = LossyStore::Loss::answers;
    fixture.run(5s);
    CHECK(fixture.heartbeats.state(fixture.loop.now()) == State::paused);
    fixture.lossy.loss = LossyStore::Loss::nothing;
    fixture.run(1s);
    CHECK(fixture.heartbeats.state(fixture.loop.now()) == State::running);
    CHECK(fixture.host.lost == 0);
}

TEST_CASE("a heartbeat that somebody deleted counts as lost") {
    Fixture fixture;
    fixture.heartbeats.start({});
    fixture.run(2s);
    fixture.remove("/heartbeats/h");
    fixture.run(1s);
    CHECK(fixture.host.lost == 1);
}

TEST_CASE("a heartbeat that comes late counts from when it was sent, not from the try after it") {
    Fixture fixture;
    fixture.heartbeats.start({});
    fixture.run(2200ms);
    REQUIRE(fixture.host.runs_until == Time{2s} + 4s);
    fixture.lossy.loss = LossyStore::Loss::late;
    fixture.run(1s);
    // The first try, of 2.5 s, came through just before the second one, of 3 s, which was refused.
    const auto seen = fixture.heartbeat("h");
    REQUIRE(seen);
    CHECK(seen->sent_ns == static_cast<std::uint64_t>(Time{2500ms}.count()));
    CHECK(fixture.host.runs_until <= Time{2500ms} + 4s);
    fixture.lossy.loss = LossyStore::Loss::nothing;
    fixture.run(2s);
    CHECK(fixture.host.runs_until > Time{4s} + 4s);
    CHECK(fixture.host.lost == 0);
}
