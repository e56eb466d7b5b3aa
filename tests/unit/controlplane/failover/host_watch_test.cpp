#include "controlplane/failover/host_watch.h"

#include <doctest/doctest.h>

#include <map>

#include "controlplane/failover/host_heartbeat.h"
#include "tests/unit/controlplane/failover/failover_fixture.h"

using namespace shoal;
using namespace shoal::failover;
using namespace shoal::failover::test;

namespace {

struct Host final : HeartbeatListener {
    Host(Bench& bench, const std::string& name)
        : lossy{bench}, heartbeats{bench.loop, lossy, name, *this} {
        heartbeats.start({});
    }
    void on_joined(model::Epoch) override {}
    void on_extended(Time until) override { runs_until = until; }
    void on_lost() override { ++lost; }
    void on_name_taken() override { FAIL("nobody else has its name"); }

    LossyStore lossy;
    Time runs_until{};
    int lost = 0;
    HostHeartbeat heartbeats;
};

struct Leader final : LeadershipListener, HostWatchListener {
    explicit Leader(Bench& bench)
        : bench_{bench},
          lossy{bench},
          leadership{bench.loop, lossy, "leader", *this},
          watch{bench.loop, lossy, leadership, *this} {
        leadership.start();
        bench.run(100ms);
        watch.start();
    }
    void on_leading() override {}
    void on_following() override {}
    void on_presence(const std::string& host, Presence presence, model::Epoch epoch) override {
        hosts[host] = presence;
        if (presence == Presence::vacant) {
            taken_at[host] = bench_.timeline.now();
            CHECK(bench_.heartbeat(host)->epoch == epoch);
        }
    }
    void on_hosts_known() override {}
    void on_failover_stopped(const std::string& why) override { reason = why; }

    Bench& bench_;
    LossyStore lossy;
    std::map<std::string, Presence> hosts;
    std::map<std::string, Time> taken_at;
    std::string reason;
    Leadership leadership;
    HostWatch watch;
};

struct Fixture : Bench {
    std::map<std::string, std::unique_ptr<Host>> hosts;

    explicit Fixture(int count) {
        for (int i = 0; i < count; ++i) {
            const std::string name = "h" + std::to_string(i);
            hosts.emplace(name, std::make_unique<Host>(*this, name));
        }
        run(1s);
    }
};

}  // namespace

TEST_CASE("a dead host is suspected, then its epoch is taken, within its deadline and 0.5 s") {
    Fixture fixture{3};
    Leader leader{fixture};
    fixture.run(10s);
    CHECK(leader.hosts.at("h1") == Presence::alive);
    const Time runs_until = fixture.hosts.at("h1")->runs_until;
    fixture.hosts.erase("h1");
    const Time death = fixture.timeline.now();
    fixture.run(2700ms);
    CHECK(leader.hosts.at("h1") == Presence::suspected);
    fixture.run(3s);
    CHECK(leader.hosts.at("h1") == Presence::vacant);
    CHECK(leader.hosts.at("h0") == Presence::alive);
    CHECK(leader.taken_at.at("h1") > runs_until);
    CHECK(leader.taken_at.at("h1") <= death + 4500ms);
    CHECK(fixture.heartbeat("h1")->sequence == 0);
}

TEST_CASE(
    "a host that is cut off has paused before its epoch is taken, and comes back with a new one") {
    Fixture fixture{3};
    Leader leader{fixture};
    fixture.run(5s);
    Host& host = *fixture.hosts.at("h1");
    host.lossy.loss = LossyStore::Loss::requests;
    fixture.run(6s);
    REQUIRE(leader.hosts.at("h1") == Presence::vacant);
    CHECK(host.runs_until < leader.taken_at.at("h1"));
    host.lossy.loss = LossyStore::Loss::nothing;
    fixture.run(1s);
    CHECK(host.lost == 1);
    host.heartbeats.rejoin();
    fixture.run(1s);
    CHECK(leader.hosts.at("h1") == Presence::alive);
    CHECK(fixture.heartbeat("h1")->epoch == 3);
}

TEST_CASE("nobody is taken over after the store or the leader was away") {
    Fixture fixture{5};
    Leader leader{fixture};
    fixture.run(5s);
    for (auto& [name, host] : fixture.hosts) {
        host->lossy.loss = LossyStore::Loss::requests;
    }
    leader.lossy.loss = LossyStore::Loss::requests;
    fixture.run(2s);
    leader.lossy.loss = LossyStore::Loss::nothing;
    fixture.run(2900ms);  // all have been silent for more than the deadline
    for (auto& [name, host] : fixture.hosts) {
        host->lossy.loss = LossyStore::Loss::nothing;
    }
    fixture.run(10s);
    CHECK(leader.taken_at.empty());
}

TEST_CASE("a host that dies as the store goes away is taken over in time all the same") {
    Fixture fixture{3};
    Leader leader{fixture};
    fixture.run(5s);
    const auto lose = [&](LossyStore::Loss loss) {
        leader.lossy.loss = loss;
        for (auto& [name, host] : fixture.hosts) {
            host->lossy.loss = loss;
        }
    };
    fixture.hosts.erase("h1");
    const Time death = fixture.timeline.now();
    lose(LossyStore::Loss::requests);
    SUBCASE("for an election") {
        fixture.run(2s);
        lose(LossyStore::Loss::nothing);
        fixture.run(10s);
        CHECK(leader.taken_at.at("h1") <= death + 4500ms);
    }
    SUBCASE("for an election that takes long") {
        fixture.run(3s);
        lose(LossyStore::Loss::nothing);
        fixture.run(10s);
        CHECK(leader.taken_at.at("h1") <= death + 4500ms);
    }
    SUBCASE("for longer than a deadline: as soon as the others had time to be heard") {
        fixture.run(10s);
        lose(LossyStore::Loss::nothing);
        fixture.run(10s);
        CHECK(leader.taken_at.at("h1") <= death + 12500ms);
    }
    CHECK(leader.taken_at.size() == 1);
    CHECK(leader.hosts.at("h0") == Presence::alive);
    CHECK(leader.hosts.at("h2") == Presence::alive);
    CHECK(fixture.hosts.at("h0")->lost + fixture.hosts.at("h2")->lost == 0);
}

TEST_CASE("when many fall silent at once nobody is taken over, and it is said") {
    Fixture fixture{10};
    Leader leader{fixture};
    fixture.run(5s);
    for (const char* name : {"h1", "h2", "h3"}) {
        fixture.hosts.erase(name);
    }
    fixture.run(20s);
    CHECK(leader.taken_at.empty());
    CHECK(leader.reason == "failover is stopped: 3 of 10 hosts are silent, more than 2");
    fixture.hosts.emplace("h3", std::make_unique<Host>(fixture, "h3"));
    fixture.run(10s);
    CHECK(leader.taken_at.size() == 2);
    CHECK(leader.reason.empty());
}
