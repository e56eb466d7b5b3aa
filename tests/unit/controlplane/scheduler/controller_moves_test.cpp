// The leader's part in live migrations: it writes the moves that a drain asks for, and ends those
// whose hosts have died.
#include <doctest/doctest.h>

#include "controlplane/model/volume.h"
#include "controlplane/scheduler/leader.h"
#include "tests/unit/controlplane/failover/failover_fixture.h"
#include "tests/unit/controlplane/scheduler/cluster_fixture.h"

using namespace shoal;
using namespace shoal::scheduler;
using namespace shoal::failover::test;
namespace keys = model::keys;

namespace {

ControllerSettings settings() {
    ControllerSettings settings;
    settings.rebalance_period = 1s;
    return settings;
}

struct Fixture : Bench {
    Leader leader{loop, store, "leader", settings()};

    Fixture() {
        leader.start();
        run(2s);
    }
    void put_host(const std::string& name, model::Scheduling scheduling = {},
                  const std::string& address = "10.0.0.1") {
        model::Host host = scheduler::test::make_host(name);
        host.scheduling = scheduling;
        host.peer_address = address;
        put(keys::of(keys::hosts, name), model::to_json(host));
    }
    void beat(const std::string& name, model::Heartbeat heartbeat) {
        put(keys::of(keys::heartbeats, name), model::to_json(heartbeat));
    }
    void put_volume(const std::string& name, const std::string& host) {
        put(keys::of(keys::volumes, name), model::to_json(model::Volume{name, 1, host}));
    }
    // One that runs on `host`.
    void add_running(const std::string& name, const std::string& host,
                     std::vector<std::string> volumes = {}) {
        model::MicroVmSpec spec;
        spec.name = name;
        spec.program = "/bin/true";
        spec.volumes = std::move(volumes);
        model::MicroVmStatus status;
        status.phase = model::Phase::running;
        status.host = host;
        REQUIRE(
            commit({{},
                    {store::Put{keys::of(keys::microvms, name), model::to_json(spec)},
                     store::Put{keys::of(keys::placements, name),
                                model::to_json(model::Placement{host, 1})},
                     store::Put{keys::of(keys::statuses, host, name), model::to_json(status)}}}));
    }
    std::optional<model::Move> move(const std::string& name) {
        const auto entry = get(keys::of(keys::moves, name));
        return entry ? std::optional{model::from_json<model::Move>(entry->value)} : std::nullopt;
    }
    std::optional<model::Drain> drain(const std::string& host) {
        const auto entry = get(keys::of(keys::drains, host));
        return entry ? std::optional{model::from_json<model::Drain>(entry->value)} : std::nullopt;
    }
    std::optional<std::string> placed(const std::string& name) {
        const auto entry = get(keys::of(keys::placements, name));
        return entry ? std::optional{model::from_json<model::Placement>(entry->value).host}
                     : std::nullopt;
    }
    // As the destination does it.
    void arrive(const std::string& name) {
        const model::Move move = *this->move(name);
        model::MicroVmStatus status;
        status.phase = model::Phase::running;
        REQUIRE(
            commit({{},
                    {store::Put{keys::of(keys::placements, name),
                                model::to_json(model::Placement{move.to, move.to_epoch})},
                     store::Put{keys::of(keys::statuses, move.to, name), model::to_json(status)},
                     store::Delete{keys::of(keys::statuses, move.from, name)},
                     store::Delete{keys::of(keys::moves, name)}}}));
    }
};

// Two hosts, and six microVMs on the one that drains.
struct Draining : Fixture {
    Draining() {
        put_host("h1");
        put_host("h2", model::Scheduling::cordoned);
        beat("h1", {1, 1});
        beat("h2", {1, 1});
        for (int number = 0; number < 6; ++number) {
            add_running("vm" + std::to_string(number), "h1");
        }
        put_host("h2");
        put_host("h1", model::Scheduling::draining);
        run(200ms);
    }
};

}  // namespace

TEST_CASE("what is on a draining host is asked to move, a few at a time, until none is left") {
    Draining fixture;
    CHECK(fixture.drain("h1") == model::Drain{4, 2, {}});
    REQUIRE(fixture.move("vm0"));
    CHECK(fixture.move("vm0")->from == "h1");
    CHECK(fixture.move("vm0")->from_epoch == 1);
    CHECK(fixture.move("vm0")->to == "h2");
    CHECK(fixture.move("vm0")->to_epoch == 1);
    CHECK_FALSE(fixture.move("vm4"));
    fixture.arrive("vm0");
    fixture.run(200ms);
    CHECK(fixture.move("vm4"));
    for (const char* name : {"vm1", "vm2", "vm3", "vm4"}) {
        fixture.arrive(name);
    }
    fixture.run(200ms);
    fixture.arrive("vm5");
    fixture.run(200ms);
    CHECK(fixture.drain("h1") == model::Drain{});
    // And back again: what has moved runs.
    fixture.put_host("h1");
    fixture.run(200ms);
    CHECK_FALSE(fixture.drain("h1"));
    fixture.put_host("h2", model::Scheduling::draining);
    fixture.run(200ms);
    CHECK(fixture.drain("h2") == model::Drain{4, 2, {}});
}

TEST_CASE("a drain that is asked for again is told again") {
    Draining fixture;
    REQUIRE(fixture.drain("h1"));
    model::Host host = scheduler::test::make_host("h1");
    host.scheduling = model::Scheduling::draining;
    host.peer_address = "10.0.0.1";
    REQUIRE(fixture.commit({{},
                            {store::Put{keys::of(keys::hosts, "h1"), model::to_json(host)},
                             store::Delete{keys::of(keys::drains, "h1")}}}));
    fixture.run(200ms);
    CHECK(fixture.drain("h1") == model::Drain{4, 2, {}});
}

TEST_CASE("what has a volume stays on the draining host, which says why") {
    Fixture fixture;
    fixture.put_host("h1");
    fixture.put_host("h2");
    fixture.beat("h1", {1, 1});
    fixture.beat("h2", {1, 1});
    fixture.put_volume("disk", "h1");
    fixture.add_running("vm", "h1", {"disk"});
    fixture.add_running("free", "h1");
    fixture.put_host("h1", model::Scheduling::draining);
    fixture.run(200ms);
    CHECK(fixture.move("free"));
    CHECK_FALSE(fixture.move("vm"));
    CHECK(fixture.drain("h1")->stays ==
          std::vector<std::string>{"vm: its volumes are files of host h1"});
}

TEST_CASE("what has its volume on a storage leaves for a host that reaches it") {
    Fixture fixture;
    for (const char* name : {"h1", "h2", "h3"}) {
        fixture.put_host(name);
        fixture.beat(name, {1, 1});
    }
    const auto reach = [&](const char* name) {
        auto host = model::from_json<model::Host>(fixture.get(keys::of(keys::hosts, name))->value);
        host.storages = {"shared"};
        fixture.put(keys::of(keys::hosts, name), model::to_json(host));
    };
    reach("h3");
    fixture.put(keys::of(keys::volumes, "disk"),
                model::to_json(model::Volume{
                    .name = "disk", .size_mib = 1, .host = "h1", .storage = "shared"}));
    fixture.add_running("vm", "h1", {"disk"});
    fixture.put_host("h1", model::Scheduling::draining);
    fixture.run(200ms);
    REQUIRE(fixture.move("vm"));
    CHECK(fixture.move("vm")->to == "h3");
}

TEST_CASE("a move that failed is tried again, later") {
    Draining fixture;
    fixture.remove(keys::of(keys::moves, "vm0"));
    fixture.run(1s);
    CHECK_FALSE(fixture.move("vm0"));
    CHECK(fixture.drain("h1")->stays ==
          std::vector<std::string>{"vm0: its last move failed; it is tried again soon"});
    fixture.arrive("vm1");
    fixture.arrive("vm2");
    // Heartbeats go on meanwhile.
    for (std::uint64_t sequence = 2; sequence < 24; ++sequence) {
        fixture.beat("h1", {1, sequence});
        fixture.beat("h2", {1, sequence});
        fixture.run(500ms);
    }
    CHECK(fixture.move("vm0"));
}

TEST_CASE("what cannot be moved says why") {
    Fixture fixture;
    fixture.put_host("h1", model::Scheduling::draining, "");
    fixture.put_host("h2");
    fixture.beat("h1", {1, 1});
    fixture.beat("h2", {1, 1});
    fixture.add_running("vm", "h1");
    fixture.run(500ms);
    CHECK(fixture.drain("h1")->stays ==
          std::vector<std::string>{"vm: host h1 has no --address for migrations"});
    CHECK_FALSE(fixture.move("vm"));
}

TEST_CASE("a microVM whose host dies while it moves is its destination's to account for") {
    Draining fixture;
    fixture.beat("h1", {2, 0});
    fixture.run(1s);
    CHECK(fixture.placed("vm0") == "h1");  // it may run on h2 already
    CHECK(fixture.placed("vm5") == "h2");  // it did not move: it is placed again
    SUBCASE("it arrived") {
        fixture.arrive("vm0");
        fixture.run(1s);
        CHECK(fixture.placed("vm0") == "h2");
    }
    SUBCASE("it never did") {
        model::Move move = *fixture.move("vm0");
        move.failure = "its destination could not take it";
        fixture.put(keys::of(keys::moves, "vm0"), model::to_json(move));
        fixture.run(1s);
        CHECK(fixture.placed("vm0") == "h2");  // placed again
        CHECK_FALSE(fixture.move("vm0"));
    }
    SUBCASE("nobody knows: both are lost") {
        fixture.put_host("h3");
        fixture.beat("h3", {1, 1});
        fixture.beat("h2", {2, 0});
        fixture.run(1s);
        CHECK(fixture.placed("vm0") == "h3");
        CHECK_FALSE(fixture.move("vm0"));
    }
}

TEST_CASE("a move whose destination dies is said to be lost, and the source decides") {
    Draining fixture;
    fixture.beat("h2", {2, 0});
    fixture.run(1s);
    REQUIRE(fixture.move("vm0"));
    CHECK(fixture.move("vm0")->is_lost);
    CHECK(fixture.move("vm0")->failure == "its destination h2 was lost");
    CHECK(fixture.placed("vm0") == "h1");
}

TEST_CASE("a new leader holds the room of moves that it finds") {
    Fixture fixture;
    fixture.put_host("h1");
    fixture.put_host("h2");
    fixture.beat("h1", {1, 1});
    fixture.beat("h2", {1, 1});
    fixture.add_running("vm", "h1");
    model::Move move;
    move.from = "h1";
    move.from_epoch = 1;
    move.to = "h2";
    move.to_epoch = 1;
    fixture.put(keys::of(keys::moves, "vm"), model::to_json(move));
    fixture.run(200ms);
    Controller* controller = fixture.leader.controller();
    REQUIRE(controller != nullptr);
    Cluster& cluster = controller->catalog().cluster();
    CHECK(cluster.host(*cluster.find_host("h2")).microvms.size() == 1);
    fixture.arrive("vm");
    fixture.run(200ms);
    CHECK(cluster.host(*cluster.find_host("h2")).microvms.size() == 1);
    CHECK(cluster.host(*cluster.find_host("h1")).microvms.empty());
}

TEST_CASE("a record of a move without a placement goes") {
    Fixture fixture;
    fixture.put(keys::of(keys::moves, "vm"),
                model::to_json(model::Move{"h1", 1, "h2", 1, {}, {}, {}}));
    fixture.run(500ms);
    CHECK_FALSE(fixture.move("vm"));
}

TEST_CASE("the fullest host is relieved") {
    Fixture fixture;
    fixture.put_host("h1");
    fixture.put_host("h2");
    fixture.beat("h1", {1, 1});
    for (int number = 0; number < 6; ++number) {
        fixture.add_running("vm" + std::to_string(number), "h1");
    }
    fixture.run(200ms);
    CHECK_FALSE(fixture.move("vm0"));
    fixture.beat("h2", {1, 1});
    fixture.run(1200ms);
    std::size_t moves = 0;
    for (int number = 0; number < 6; ++number) {
        moves += fixture.move("vm" + std::to_string(number)) ? 1U : 0U;
    }
    CHECK(moves >= 1);
    CHECK(moves <= 3);
}
