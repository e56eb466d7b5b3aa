// The node agent of a host among many: placements and assignments come from elsewhere, under
// epochs.
#include <doctest/doctest.h>

#include <algorithm>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/node_agent.h"
#include "tests/unit/controlplane/node/manual_store.h"
#include "tests/unit/controlplane/node/process/fake_runner.h"

namespace shoal::node::test {

namespace {

namespace keys = model::keys;
using model::Assignment;
using model::Phase;
using std::chrono::milliseconds;

class Member : public ManualStore {
public:
    Member() {
        runner.listener = &agent;
        mirror.start([this](const store::Result<Revision>& ready) {
            REQUIRE(ready);
            mirror.add_listener(agent);
            agent.start();
        });
        loop.settle();
    }
    ~Member() { mirror.remove_listener(agent); }
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

    // As the leader places it.
    Attempt place(const std::string& name, const std::string& host, model::Epoch epoch) {
        model::MicroVmSpec spec;
        spec.name = name;
        spec.program = "/bin/true";
        put(keys::of(keys::microvms, name), model::to_json(spec));
        bind(name, host, epoch);
        return {name, mirror.find(name)->created, 0};
    }
    void bind(const std::string& name, const std::string& host, model::Epoch epoch) {
        commit({{},
                {store::Put{keys::of(keys::placements, name),
                            model::to_json(model::Placement{host, epoch})},
                 store::Put{keys::of(keys::assignments, host, name),
                            model::to_json(Assignment{epoch, Assignment::Wanted::run})}}});
    }
    bool has(const std::string& key) {
        bool found = false;
        store.get(key, [&found](const store::Result<store::Lookup>& lookup) {
            found = lookup && lookup->entry.has_value();
        });
        loop.settle();
        return found;
    }

    FakeRunner runner;
    Mirror mirror{loop, store};
    NodeAgent agent{loop, store, mirror, runner,
                    NodeSettings{"here", "/nowhere", "/bin/shoal", "/run/fence"}};
};

// A program that is to be restored, with a checkpoint, and placed here.
Attempt place_restorable(Member& host, std::vector<std::string> volumes = {}) {
    model::MicroVmSpec spec;
    spec.volumes = std::move(volumes);
    spec.name = "a";
    spec.program = "/bin/true";
    spec.on_host_failure = model::HostFailurePolicy::restore;
    host.put(keys::of(keys::microvms, "a"), model::to_json(spec));
    model::Checkpoint checkpoint;
    checkpoint.hosts = {"elsewhere"};
    host.put(keys::of(keys::checkpoints, "a"), model::to_json(checkpoint));
    host.bind("a", "here", 1);
    host.agent.take(1);
    host.loop.settle();
    return {"a", host.mirror.find("a")->created, 0};
}

}  // namespace

TEST_CASE("nothing is started before the host has an epoch, nor under another one") {
    Member host;
    const Attempt attempt = host.place("a", "here", 3);
    host.place("b", "there", 3);
    host.place("c", "here", 2);
    CHECK(host.runner.launches.empty());
    host.agent.take(3);
    host.loop.settle();
    REQUIRE(host.runner.launches.size() == 1);
    CHECK(host.runner.launches[0].attempt == attempt);
}

TEST_CASE("every VMM of a clustered host is told where its deadline is") {
    Member host;
    host.place("a", "here", 1);
    host.agent.take(1);
    host.loop.settle();
    REQUIRE(host.runner.launches.size() == 1);
    const auto& words = host.runner.launches[0].words;
    const auto fence = std::ranges::find(words, "--fence");
    REQUIRE(fence != words.end());
    CHECK(*(fence + 1) == "/run/fence");
    CHECK(fence < std::ranges::find(words, "--"));
}

TEST_CASE("what is told to stop leaves its placement, and stays wanted") {
    Member host;
    host.agent.take(1);
    const Attempt attempt = host.place("a", "here", 1);
    host.runner.runs(attempt);
    host.loop.settle();
    CHECK(host.has(keys::of(keys::statuses, "here", "a")));
    host.put(keys::of(keys::assignments, "here", "a"),
             model::to_json(Assignment{1, Assignment::Wanted::stop}));
    REQUIRE_FALSE(host.runner.stops.empty());
    CHECK(host.runner.stops.back() == std::pair{attempt, milliseconds{10'000}});
    CHECK(host.mirror.find("a")->status->phase == Phase::stopping);
    host.runner.ends(attempt, 143);
    host.loop.settle();
    CHECK_FALSE(host.has(keys::of(keys::placements, "a")));
    CHECK_FALSE(host.has(keys::of(keys::assignments, "here", "a")));
    CHECK_FALSE(host.has(keys::of(keys::statuses, "here", "a")));
    CHECK(host.has(keys::of(keys::microvms, "a")));
    CHECK(host.runner.names().empty());
    SUBCASE("and may come back") {
        host.bind("a", "here", 1);
        CHECK(host.runner.launches.size() == 2);
    }
}

TEST_CASE("a deletion among many hosts leaves what is the leader's to forget") {
    Member host;
    host.agent.take(1);
    const Attempt attempt = host.place("a", "here", 1);
    host.runner.runs(attempt);
    host.loop.settle();
    host.put(keys::of(keys::deletions, "a"), model::to_json(model::Deletion{0}));
    host.runner.ends(attempt, 137);
    host.loop.settle();
    CHECK_FALSE(host.has(keys::of(keys::placements, "a")));
    CHECK(host.has(keys::of(keys::microvms, "a")));
    CHECK(host.has(keys::of(keys::deletions, "a")));
}

TEST_CASE("a placement whose microVM is gone is given back") {
    Member host;
    host.agent.take(1);
    const Attempt attempt = host.place("a", "here", 1);
    host.runner.runs(attempt);
    host.loop.settle();
    host.commit({{}, {store::Delete{keys::of(keys::microvms, "a")}}});
    CHECK(host.runner.stops.back() == std::pair{attempt, milliseconds{0}});
    host.runner.ends(attempt, 137);
    host.loop.settle();
    CHECK_FALSE(host.has(keys::of(keys::placements, "a")));
    CHECK(host.mirror.microvms().empty());
}

TEST_CASE("a host that lost its epoch kills all that it has, and says when nothing is left") {
    Member host;
    host.agent.take(1);
    const Attempt a = host.place("a", "here", 1);
    const Attempt b = host.place("b", "here", 1);
    host.runner.runs(a);
    host.runner.runs(b);
    host.loop.settle();
    bool is_gone = false;
    host.agent.give_up([&] { is_gone = true; });
    host.loop.settle();
    CHECK(host.runner.stops.size() == 2);
    host.runner.ends(a, 137);
    host.loop.settle();
    CHECK_FALSE(is_gone);
    host.runner.ends(b, 137);
    host.loop.settle();
    CHECK(is_gone);
    CHECK(host.runner.names().empty());
    // What the store says of the time before is for the leader to see to.
    CHECK(host.has(keys::of(keys::statuses, "here", "a")));
    host.agent.take(2);
    host.loop.settle();
    CHECK(host.runner.launches.size() == 2);
}

TEST_CASE("a host that has nothing gives up at once") {
    Member host;
    bool is_gone = false;
    host.agent.give_up([&] { is_gone = true; });
    host.loop.settle();
    CHECK(is_gone);
}

TEST_CASE("the status that counts is that of the host where a microVM is placed") {
    Member host;
    host.place("a", "there", 1);
    const auto say = [&](const std::string& who, Phase phase) {
        model::MicroVmStatus status;
        status.phase = phase;
        host.put(keys::of(keys::statuses, who, "a"), model::to_json(status));
    };
    say("there", Phase::running);
    say(".", Phase::failed);
    say("elsewhere", Phase::stopping);
    CHECK(host.mirror.find("a")->status->phase == Phase::running);
    host.commit({{}, {store::Delete{keys::of(keys::statuses, ".", "a")}}});
    CHECK(host.mirror.find("a")->status->phase == Phase::running);
    say(".", Phase::pending);
    host.commit({{}, {store::Delete{keys::of(keys::placements, "a")}}});
    CHECK(host.mirror.find("a")->status->phase == Phase::pending);
}

TEST_CASE("a program that ends by itself leaves no checkpoint to go on from; a lost host does") {
    Member host;
    const Attempt attempt = place_restorable(host);
    host.runner.runs(attempt);
    host.loop.settle();
    CHECK(host.has(keys::of(keys::checkpoints, "a")));
    SUBCASE("it ends") {
        host.runner.ends(attempt, 0);
    }
    SUBCASE("it is told to stop") {
        host.put(keys::of(keys::assignments, "here", "a"),
                 model::to_json(Assignment{1, Assignment::Wanted::stop}));
        host.runner.ends(attempt, 143);
    }
    host.loop.settle();
    CHECK_FALSE(host.has(keys::of(keys::checkpoints, "a")));
}

TEST_CASE("one that is saved while it runs may take twice its memory, for pages that are kept") {
    Member host;
    place_restorable(host);
    host.place("b", "here", 1);
    host.loop.settle();
    REQUIRE(host.runner.launches.size() == 2);
    CHECK(host.runner.launches[0].limits.memory_mib == 256);
    CHECK(host.runner.launches[1].limits.memory_mib == 128);
}

TEST_CASE("what others have taken over keeps its checkpoint when it is killed here") {
    Member host;
    const Attempt attempt = place_restorable(host);
    host.runner.runs(attempt);
    host.loop.settle();
    host.agent.give_up([] {});
    host.runner.ends(attempt, 137);
    host.loop.settle();
    CHECK(host.has(keys::of(keys::checkpoints, "a")));
}

TEST_CASE("what a restart of the host has ended goes on from its checkpoint") {
    Member host;
    const Attempt attempt = place_restorable(host);
    host.runner.runs(attempt);
    host.loop.settle();
    host.runner.vanishes(attempt);
    host.loop.settle();
    CHECK(host.has(keys::of(keys::checkpoints, "a")));
    CHECK(host.mirror.find("a")->status->phase == Phase::pending);
    REQUIRE(host.runner.launches.size() == 2);
    CHECK(host.runner.launches[1].attempt == attempt);
}

TEST_CASE("one whose checkpoint cannot be loaded begins anew, and says why") {
    Member host;
    const Attempt attempt = place_restorable(host);
    host.runner.ends(attempt, 1, std::string{not_loaded} + ": another CPU");
    host.loop.settle();
    CHECK_FALSE(host.has(keys::of(keys::checkpoints, "a")));
    CHECK(host.mirror.find("a")->status->reason ==
          "it begins anew, not from its checkpoint: its snapshot cannot be loaded: another CPU");
    REQUIRE(host.runner.launches.size() == 2);
    CHECK(host.runner.launches[1].attempt == Attempt{"a", attempt.created, 1});
}

namespace {

// Whose host cannot go on from any checkpoint.
class NoCopies final : public Provisions {
public:
    void prepare(const MicroVm& microvm, Launch&) override {
        if (is_restorable(microvm)) {
            throw NoCheckpoint{"all are damaged"};
        }
    }
    std::string root_of(const MicroVm&) override { return {}; }
    std::string tap_of(const MicroVm&) override { return {}; }
    std::vector<std::string> disks_of(const MicroVm&) override { return {}; }
    void describe(const MicroVm&, const Attempt&, model::MicroVmStatus&) const override {}
};

}  // namespace

TEST_CASE("without its checkpoint a microVM begins anew, but nowhere without its volumes") {
    Member host;
    NoCopies provisions;
    host.agent.set_provisions(provisions);
    std::string where = "here";
    SUBCASE("which are here") {}
    SUBCASE("which are elsewhere") {
        where = "elsewhere";
    }
    host.put(keys::of(keys::volumes, "v"), model::to_json(model::Volume{"v", 1, where}));
    const Attempt attempt = place_restorable(host, {"v"});
    CHECK_FALSE(host.has(keys::of(keys::checkpoints, "a")));
    if (where == "here") {
        REQUIRE(host.runner.launches.size() == 1);
        CHECK(host.runner.launches[0].attempt == Attempt{"a", attempt.created, 1});
        return;
    }
    CHECK(host.runner.launches.empty());
    CHECK(host.has(keys::of(keys::microvms, "a")));
    CHECK_FALSE(host.has(keys::of(keys::placements, "a")));
    CHECK_FALSE(host.has(keys::of(keys::assignments, "here", "a")));
    CHECK(host.mirror.find("a")->status->reason ==
          "it begins anew where its volumes are: all are damaged");
}

TEST_CASE("what was placed without its volumes is given back") {
    Member host;
    host.put(keys::of(keys::volumes, "v"), model::to_json(model::Volume{"v", 1, "elsewhere"}));
    model::MicroVmSpec spec;
    spec.name = "a";
    spec.program = "/bin/true";
    spec.volumes = {"v"};
    host.put(keys::of(keys::microvms, "a"), model::to_json(spec));
    host.bind("a", "here", 1);
    host.agent.take(1);
    host.loop.settle();
    CHECK(host.runner.launches.empty());
    CHECK_FALSE(host.has(keys::of(keys::placements, "a")));
    CHECK(host.mirror.find("a")->status->reason ==
          "it begins anew where its volumes are: host here does not have them");
}

}  // namespace shoal::node::test
