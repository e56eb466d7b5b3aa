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
    Host(Bench& bench, const std::string& name, Time deadline,
         std::optional<model::Epoch> kept = {})
        : lossy{bench}, heartbeats{bench.loop, lossy, name, *this, {.deadline = deadline}} {
        heartbeats.start(kept);
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
    explicit Leader(Bench& bench, const SilenceRecord* record = nullptr)
        : bench_{bench},
          lossy{bench},
          leadership{bench.loop, lossy, "leader", *this},
          watch{bench.loop, lossy, leadership, *this, {}, record} {
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
            start("h" + std::to_string(i));
        }
        run(1s);
    }
    void start(const std::string& name, Time deadline = default_deadline) {
        hosts.emplace(name, std::make_unique<Host>(*this, name, deadline));
    }
    // Its last heartbeat, which was on its way.
    void commit_late(const std::string& name, Time sent) {
        model::Heartbeat late = *heartbeat(name);
        ++late.sequence;
        late.sent_ns = static_cast<std::uint64_t>(sent.count());
        late.runs_until_ns = static_cast<std::uint64_t>((sent + default_deadline).count());
        put(model::keys::of(model::keys::heartbeats, name), model::to_json(late));
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
    SUBCASE("for an election, after which its last heartbeat is committed") {
        fixture.run(2800ms);
        fixture.commit_late("h1", death);
        lose(LossyStore::Loss::nothing);
        fixture.run(10s);
        CHECK(leader.taken_at.at("h1") > death + 4s);
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

TEST_CASE("who comes to lead counts a late heartbeat as one who has watched") {
    Fixture fixture{3};
    LossyStore store{fixture};
    SilenceRecord record{fixture.loop, store};
    record.start();
    fixture.run(5200ms);
    fixture.hosts.erase("h1");
    const Time death = fixture.timeline.now();
    fixture.run(3s);
    fixture.commit_late("h1", death);
    Leader leader{fixture, &record};
    fixture.run(10s);
    CHECK(leader.taken_at.at("h1") > death + 4s);
    CHECK(leader.taken_at.at("h1") <= death + 4500ms);
}

TEST_CASE("each host has its own deadline, and the leader waits for that of each") {
    Fixture fixture{2};
    fixture.start("quick", 2s);
    fixture.start("slow", 10s);
    Leader leader{fixture};
    fixture.run(5s);
    SUBCASE("the short one") {
        const Time death = fixture.timeline.now();
        fixture.hosts.erase("quick");
        fixture.run(1700ms);
        CHECK(leader.hosts.at("quick") == Presence::suspected);
        fixture.run(10s);
        CHECK(leader.taken_at.at("quick") <= death + 2500ms);
    }
    SUBCASE("the long one") {
        const Time runs_until = fixture.hosts.at("slow")->runs_until;
        fixture.hosts.erase("slow");
        fixture.run(20s);
        CHECK(leader.taken_at.at("slow") > runs_until);
        CHECK(leader.taken_at.at("slow") <= runs_until + 500ms);
    }
    SUBCASE("the one before, where a host that has it no more was told to run for so long") {
        const Time runs_until = fixture.hosts.at("slow")->runs_until;
        fixture.hosts.erase("slow");
        Host again{fixture, "slow", 2s, fixture.heartbeat("slow")->epoch};
        fixture.run(600ms);
        again.lossy.loss = LossyStore::Loss::requests;
        fixture.run(20s);
        CHECK(leader.taken_at.at("slow") > runs_until);
        CHECK(leader.taken_at.at("slow") <= runs_until + 500ms);
    }
    CHECK(leader.taken_at.size() == 1);
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
    fixture.start("h3");
    fixture.run(10s);
    CHECK(leader.taken_at.size() == 2);
    CHECK(leader.reason.empty());
}
