#include "controlplane/node/node_agent.h"

#include <doctest/doctest.h>

#include <memory>
#include <optional>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/placer.h"
#include "tests/unit/controlplane/node/manual_store.h"
#include "tests/unit/controlplane/node/process/fake_runner.h"

namespace shoal::node::test {

namespace {

namespace keys = model::keys;
using model::Phase;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A shoald's inside, which can be killed and started again; the store and the processes stay.
class Host : public ManualStore {
public:
    Host() { restart(); }

    void restart(model::Resources allocatable = {1000, 10'000, 10}) {
        placer_.reset();
        agent_.reset();
        mirror_ = std::make_unique<Mirror>(loop, store);
        agent_ = std::make_unique<NodeAgent>(loop, store, *mirror_, runner,
                                             NodeSettings{"here", "/nowhere", "/bin/shoal"});
        placer_ =
            std::make_unique<Placer>(loop, store, *mirror_, PlacerSettings{"here", allocatable});
        runner.listener = agent_.get();
        mirror_->start([this](const store::Result<Revision>& ready) {
            REQUIRE(ready);
            mirror_->add_listener(*agent_);
            mirror_->add_listener(*placer_);
            agent_->start();
            agent_->take(0);
            placer_->start();
        });
        loop.settle();
    }

    Attempt create(const std::string& name, model::RestartPolicy restart = {}) {
        model::MicroVmSpec spec;
        spec.name = name;
        spec.program = "/bin/true";
        spec.restart = restart;
        put(keys::of(keys::microvms, name), model::to_json(spec));
        return {name, find(name)->created, 0};
    }
    void remove(const std::string& name, std::uint64_t grace_s) {
        put(keys::of(keys::deletions, name), model::to_json(model::Deletion{grace_s}));
    }
    void stop(const std::string& name, std::uint64_t grace_s) {
        model::MicroVmSpec spec = find(name)->spec;
        spec.stop = model::Deletion{grace_s};
        put(keys::of(keys::microvms, name), model::to_json(spec));
    }
    Placer& placer() { return *placer_; }
    const MicroVm* find(const std::string& name) { return mirror_->find(name); }
    Phase phase(const std::string& name) {
        REQUIRE(find(name) != nullptr);
        return find(name)->status.value_or(model::MicroVmStatus{}).phase;
    }

    FakeRunner runner;

private:
    std::unique_ptr<Mirror> mirror_;
    std::unique_ptr<NodeAgent> agent_;
    std::unique_ptr<Placer> placer_;
};

Attempt next(Attempt attempt) {
    ++attempt.restarts;
    return attempt;
}

}  // namespace

TEST_CASE("a microVM that is wanted is started once, and seen to run and to end") {
    Host host;
    const Attempt attempt = host.create("a");
    REQUIRE(host.runner.launches.size() == 1);
    CHECK(host.runner.launches[0].attempt == attempt);
    CHECK(host.runner.launches[0].words ==
          std::vector<std::string>{"/bin/shoal", "run", "--memory", "128", "--vcpus", "1", "--env",
                                   "SHOAL_NAME=a", "--", "/bin/true"});
    CHECK(host.phase("a") == Phase::pending);
    host.runner.runs(attempt);
    host.loop.settle();
    CHECK(host.phase("a") == Phase::running);
    CHECK(host.find("a")->status->started_at == "1970-01-01T00:00:01.000Z");
    host.runner.ends(attempt, 0);
    host.loop.settle();
    CHECK(host.phase("a") == Phase::succeeded);
    CHECK(host.find("a")->status->ended_at == "1970-01-01T00:00:02.000Z");
    CHECK(host.runner.names().empty());
    host.loop.advance(seconds{1000});
    CHECK(host.runner.launches.size() == 1);
}

TEST_CASE("a restart of shoald starts nothing twice, whatever it finds") {
    Host host;
    const Attempt attempt = host.create("a");
    SUBCASE("starting") {}
    SUBCASE("running") {
        host.runner.runs(attempt);
        host.loop.settle();
    }
    SUBCASE("ended while nobody looked") {
        host.runner.listener = nullptr;
        host.runner.ends(attempt, 7);
    }
    host.restart();
    host.loop.advance(seconds{100});
    CHECK(host.runner.launches.size() == 1);
    host.runner.ends(attempt, 7);
    host.loop.advance(seconds{100});
    CHECK(host.phase("a") == Phase::failed);
    CHECK(host.find("a")->status->exit_code == 7);
    CHECK(host.runner.launches.size() == 1);
    CHECK(host.runner.names().empty());
}

TEST_CASE("what is heard of processes before the store has been read ends none of them") {
    Host host;
    const Attempt attempt = host.create("a");
    Mirror unread{host.loop, host.store};
    NodeAgent agent{host.loop, host.store, unread, host.runner, {"here", "/nowhere", "/bin/shoal"}};
    host.runner.listener = &agent;
    host.runner.runs(attempt);
    host.loop.settle();
    CHECK(host.runner.stops.empty());
}

TEST_CASE("what ended is started again as its policy says, ever more slowly") {
    Host host;
    SUBCASE("never") {
        host.runner.ends(host.create("a", model::RestartPolicy::never), 1);
        host.loop.advance(seconds{100});
        CHECK(host.runner.launches.size() == 1);
    }
    SUBCASE("on_failure, with success") {
        host.runner.ends(host.create("a", model::RestartPolicy::on_failure), 0);
        host.loop.advance(seconds{100});
        CHECK(host.runner.launches.size() == 1);
        CHECK(host.phase("a") == Phase::succeeded);
    }
    SUBCASE("on_failure, and always") {
        auto policy = model::RestartPolicy::always;
        SUBCASE("on_failure") {
            policy = model::RestartPolicy::on_failure;
        }
        SUBCASE("always") {}
        Attempt attempt = host.create("a", policy);
        for (const int delay_s : {1, 2, 4, 8, 16, 32, 60, 60}) {
            const std::size_t before = host.runner.launches.size();
            host.runner.ends(attempt, 1);
            host.loop.advance(seconds{delay_s} - milliseconds{10});
            CHECK(host.runner.launches.size() == before);
            CHECK(host.phase("a") == Phase::pending);
            host.loop.advance(milliseconds{20});
            CHECK(host.runner.launches.size() == before + 1);
            attempt = next(attempt);
            CHECK(host.runner.launches.back().attempt == attempt);
        }
        CHECK(host.find("a")->status->restarts == 8);
    }
}

TEST_CASE("a microVM whose host was restarted has failed, or starts again") {
    Host host;
    const Attempt attempt = host.create("a", model::RestartPolicy::on_failure);
    host.runner.runs(attempt);
    host.loop.settle();
    host.runner.listener = nullptr;
    host.runner.vanishes(attempt);
    host.restart();
    host.loop.advance(seconds{10});
    REQUIRE(host.runner.launches.size() == 2);
    CHECK(host.runner.launches[1].attempt == next(attempt));
}

TEST_CASE("a deletion stops what runs and then forgets everything") {
    Host host;
    const Attempt attempt = host.create("a");
    host.runner.runs(attempt);
    host.loop.settle();
    host.remove("a", 7);
    REQUIRE_FALSE(host.runner.stops.empty());
    CHECK(host.runner.stops.back() == std::pair{attempt, milliseconds{7000}});
    CHECK(host.phase("a") == Phase::stopping);
    SUBCASE("at once") {}
    SUBCASE("after a restart of shoald") {
        host.restart();
    }
    host.runner.ends(attempt, 143);
    host.loop.settle();
    CHECK(host.find("a") == nullptr);
    CHECK(host.runner.names().empty());
    const Attempt other = host.create("a");
    CHECK(other != attempt);
    CHECK(host.runner.launches.back().attempt == other);
}

TEST_CASE("a stop ends what runs for good, whatever its policy, and forgets nothing") {
    Host host;
    Attempt attempt = host.create("a", model::RestartPolicy::always);
    SUBCASE("one that runs") {
        host.runner.runs(attempt);
        host.loop.settle();
        host.stop("a", 7);
        REQUIRE_FALSE(host.runner.stops.empty());
        CHECK(host.runner.stops.back() == std::pair{attempt, milliseconds{7000}});
        CHECK(host.phase("a") == Phase::stopping);
        SUBCASE("at once") {}
        SUBCASE("after a restart of shoald") {
            host.restart();
        }
        host.runner.ends(attempt, 143);
    }
    SUBCASE("one that waits for its next start") {
        host.runner.ends(attempt, 1);
        host.loop.settle();
        CHECK(host.phase("a") == Phase::pending);
        host.stop("a", 7);
    }
    SUBCASE("one that has just ended") {
        host.runner.runs(attempt);
        host.loop.settle();
        host.runner.listener = nullptr;
        host.runner.ends(attempt, 143);
        host.stop("a", 7);
        host.restart();
    }
    host.loop.advance(seconds{1000});
    CHECK(host.phase("a") == Phase::failed);
    CHECK(host.find("a")->status->exit_code == 143);
    CHECK(host.runner.launches.size() == 1);
    CHECK(host.runner.names().empty());
    host.restart();
    host.loop.advance(seconds{1000});
    CHECK(host.phase("a") == Phase::failed);
    CHECK(host.runner.launches.size() == 1);
    host.remove("a", 0);
    CHECK(host.find("a") == nullptr);
}

TEST_CASE("processes that nobody wants, or of another attempt, are ended before all else") {
    Host host;
    const Attempt nobody{"b", 1, 0};
    const Attempt attempt = host.create("a");
    host.runner.runs(next(attempt));
    host.runner.runs(nobody);
    host.loop.settle();
    CHECK(host.runner.stops ==
          std::vector{std::pair{next(attempt), milliseconds{0}}, {nobody, milliseconds{0}}});
    host.runner.ends(nobody, 137);
    host.runner.ends(next(attempt), 137);
    host.loop.settle();
    CHECK(host.runner.names() == std::vector<std::string>{"a"});
    CHECK(host.phase("a") == Phase::pending);
}

TEST_CASE("what runs goes on while its record cannot be read, until it is to be gone") {
    for (const char* key : {"/microvms/a", "/placements/a", "/statuses/here/a"}) {
        for (const bool is_restarted : {false, true}) {
            CAPTURE(key);
            CAPTURE(is_restarted);
            Host host;
            const Attempt attempt = host.create("a", model::RestartPolicy::always);
            host.runner.runs(attempt);
            host.loop.settle();
            host.put(key, "{");
            host.loop.advance(seconds{5});
            if (is_restarted) {
                host.restart();
                host.loop.advance(seconds{5});
            }
            CHECK(host.runner.stops.empty());
            CHECK(host.runner.launches.size() == 1);
            REQUIRE(host.find("a") != nullptr);
            host.remove("a", 0);
            host.loop.advance(seconds{1});
            CHECK_FALSE(host.runner.stops.empty());
        }
    }
}

TEST_CASE("what cannot be started says why, and is tried again") {
    Host host;
    host.runner.is_broken = true;
    const Attempt attempt = host.create("a");
    CHECK(host.find("a")->status->reason.find("fork") != std::string::npos);
    host.loop.advance(seconds{5});
    host.runner.is_broken = false;
    host.loop.advance(seconds{2});
    CHECK(host.runner.launches.size() == 1);
    host.runner.runs(attempt);
    host.loop.settle();
    CHECK(host.find("a")->status->reason.empty());
}

TEST_CASE("what does not fit waits and says why, until there is room") {
    Host host;
    host.restart({300, 10'000, 10});
    const Attempt first = host.create("a");
    host.create("b");
    host.create("c");
    CHECK(host.runner.launches.size() == 2);
    CHECK(host.find("c")->status->reason ==
          "there is no room yet: it needs 128 MiB, and 44 MiB are free");
    SUBCASE("the one that waits is deleted") {
        host.remove("c", 0);
        CHECK(host.find("c") == nullptr);
    }
    SUBCASE("another ends") {
        host.runner.ends(first, 0);
        host.loop.settle();
        CHECK(host.runner.launches.size() == 3);
    }
}

TEST_CASE("room can be kept for a microVM until it is committed, but not before those that wait") {
    Host host;
    host.restart({300, 10'000, 10});
    model::MicroVmSpec spec;
    spec.name = "a";
    spec.program = "/bin/true";
    auto reservation = host.placer().reserve(spec);
    REQUIRE(reservation);
    CHECK(host.placer().used() == model::Resources{128, 1000, 1});
    CHECK_FALSE(host.placer().reserve(spec));
    SUBCASE("that fails") {
        reservation.reset();
        CHECK(host.placer().used() == model::Resources{});
    }
    SUBCASE("that works") {
        store::Transaction transaction;
        transaction.operations.emplace_back(
            store::Put{keys::of(keys::microvms, "a"), model::to_json(spec)});
        reservation->add_to(transaction);
        host.commit(std::move(transaction));
        reservation.reset();
        host.loop.settle();
        CHECK(host.placer().used() == model::Resources{128, 1000, 1});
        CHECK(host.runner.launches.size() == 1);
        host.create("b");
        host.create("c");
        spec.name = "d";
        spec.memory_mib = 1;
        CHECK_FALSE(host.placer().reserve(spec));
    }
}

}  // namespace shoal::node::test
