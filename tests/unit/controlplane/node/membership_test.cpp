#include "controlplane/node/membership.h"

#include <doctest/doctest.h>

#include <fstream>
#include <memory>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/host_facts.h"
#include "tests/unit/controlplane/node/manual_store.h"
#include "tests/unit/controlplane/node/process/fake_runner.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::node::test {

namespace {

namespace keys = model::keys;
using std::chrono::seconds;

class Host : public ManualStore {
public:
    Host() { restart(); }

    // shoald's inside; the run folder and the processes stay.
    void restart() {
        membership_.reset();
        if (agent_) {
            mirror_->remove_listener(*agent_);
        }
        mirror_ = std::make_unique<Mirror>(loop, store);
        agent_ = std::make_unique<NodeAgent>(
            loop, store, *mirror_, runner,
            NodeSettings{"here", "/nowhere", "/bin/shoal", fence_path(folder.file(""))});
        runner.listener = agent_.get();
        mirror_->start([this](const store::Result<Revision>& ready) {
            REQUIRE(ready);
            mirror_->add_listener(*agent_);
            agent_->start();
        });
        model::Host facts;
        facts.name = "here";
        facts_ = std::make_unique<HostFacts>(loop, store, facts);
        membership_ = std::make_unique<Membership>(loop, store, *agent_, *facts_,
                                                   MembershipSettings{"here", folder.file("")});
        membership_->start();
        loop.advance(seconds{1});
    }
    std::optional<model::Heartbeat> heartbeat() {
        std::optional<model::Heartbeat> found;
        store.get(keys::of(keys::heartbeats, "here"),
                  [&found](const store::Result<store::Lookup>& lookup) {
                      if (lookup && lookup->entry) {
                          found = model::from_json<model::Heartbeat>(lookup->entry->value);
                      }
                  });
        loop.settle();
        return found;
    }
    void take_epoch() {
        put(keys::of(keys::heartbeats, "here"),
            model::to_json(model::Heartbeat{heartbeat()->epoch + 1, 0}));
    }
    std::string epoch_file() {
        std::ifstream file{folder.file("epoch")};
        return {std::istreambuf_iterator<char>{file}, {}};
    }
    NodeAgent& agent() { return *agent_; }
    std::uint64_t fence_ns() {
        return host::DeadlineFile{fence_path(folder.file("")), host::DeadlineFile::Access::read}
            .deadline_ns();
    }

    store::test::ScratchFolder folder;
    FakeRunner runner;

private:
    std::unique_ptr<Mirror> mirror_;
    std::unique_ptr<NodeAgent> agent_;
    std::unique_ptr<HostFacts> facts_;
    std::unique_ptr<Membership> membership_;
};

std::uint64_t ns(seconds time) {
    return static_cast<std::uint64_t>(std::chrono::nanoseconds{time}.count());
}

}  // namespace

TEST_CASE("a deadline of an earlier start of the host is none") {
    Host host;
    std::ofstream{host.folder.file("epoch")} << "1 of-another-start\n";
    host::DeadlineFile{fence_path(host.folder.file("")), host::DeadlineFile::Access::write}.set(
        ns(seconds{1'000'000}));
    host.restart();
    CHECK(host.fence_ns() == 0);
    host.loop.advance(seconds{20});
    CHECK(host.heartbeat()->epoch == 2);
    CHECK(host.fence_ns() > 0);
    CHECK(host.fence_ns() < ns(seconds{60}));
}

TEST_CASE("a member keeps its epoch, and its VMMs may run until its last word is 4 s old") {
    Host host;
    CHECK(host.heartbeat()->epoch == 1);
    CHECK(host.epoch_file().starts_with("1 "));
    CHECK(host.fence_ns() == ns(seconds{5}));  // it was sent at 1 s
    host.loop.advance(seconds{2});
    CHECK(host.fence_ns() == ns(seconds{7}));
    SUBCASE("the next shoald goes on with it") {
        const std::uint64_t sequence = host.heartbeat()->sequence;
        host.restart();
        CHECK(host.heartbeat()->epoch == 1);
        CHECK(host.heartbeat()->sequence > sequence);
    }
    SUBCASE("after a restart of the host it is another one") {
        std::ofstream{host.folder.file("epoch")} << "1 of-another-boot\n";
        host.restart();
        host.loop.advance(seconds{4});  // the one before may be alive
        CHECK(host.heartbeat()->epoch == 2);
    }
    SUBCASE("what is no epoch is none") {
        std::ofstream{host.folder.file("epoch")} << "x";
        host.restart();
        host.loop.advance(seconds{4});  // the one before may be alive
        CHECK(host.heartbeat()->epoch == 2);
    }
    CHECK(host.fence_ns() >= ns(seconds{7}));
}

TEST_CASE("a second host of a name ends with a sentence, and leaves the first alone") {
    Host host;
    NodeAgent& agent = host.agent();
    HostFacts facts{host.loop, host.store, model::Host{}};
    const store::test::ScratchFolder folder;
    Membership second{host.loop, host.store, agent, facts, {"here", folder.file("")}};
    second.start();
    CHECK_THROWS_WITH(host.loop.advance(seconds{3}),
                      "there is a host here in the cluster already, whose shoald is alive: give "
                      "this one another name with --host");
    CHECK(host.heartbeat()->epoch == 1);
}

TEST_CASE("a member whose epoch was taken joins anew once nothing of it is left") {
    Host host;
    const Attempt attempt{"a", 7, 0};
    host.runner.runs(attempt);
    host.take_epoch();
    host.loop.advance(seconds{1});
    CHECK(host.runner.stops.back() == std::pair{attempt, std::chrono::milliseconds{0}});
    CHECK(host.heartbeat()->sequence == 0);
    host.loop.advance(seconds{10});
    CHECK(host.heartbeat()->sequence == 0);
    host.runner.ends(attempt, 137);
    host.loop.advance(seconds{1});
    CHECK(host.heartbeat()->epoch == 3);
    CHECK(host.epoch_file().starts_with("3 "));
    CHECK(host.fence_ns() > ns(seconds{12}));
}

TEST_CASE("what a host is is told once, and keeps what users said of it") {
    ManualStore bench;
    model::Host facts;
    facts.name = "here";
    facts.zone = "a";
    const auto tell = [&bench, &facts] {
        HostFacts host{bench.loop, bench.store, facts};
        host.tell();
        bench.loop.settle();
    };
    const auto stored = [&bench] {
        std::optional<store::Entry> found;
        bench.store.get("/hosts/here", [&found](const store::Result<store::Lookup>& lookup) {
            REQUIRE(lookup);
            found = lookup->entry;
        });
        bench.loop.settle();
        return found;
    };
    tell();
    REQUIRE(stored());
    const Revision first = stored()->mod_revision;
    tell();
    CHECK(stored()->mod_revision == first);
    model::Host drained = facts;
    drained.scheduling = model::Scheduling::draining;
    bench.put("/hosts/here", model::to_json(drained));
    facts.zone = "b";
    tell();
    const auto now = model::from_json<model::Host>(stored()->value);
    CHECK(now.zone == "b");
    CHECK(now.scheduling == model::Scheduling::draining);
    bench.put("/hosts/here", "damaged");
    tell();
    CHECK(model::from_json<model::Host>(stored()->value).zone == "b");
}

TEST_CASE("memory pressure is told once the rest is, and keeps what users said of the host") {
    ManualStore bench;
    model::Host facts;
    facts.name = "here";
    HostFacts host{bench.loop, bench.store, facts};
    std::optional<model::Host> stored;
    const auto read = [&] {
        bench.loop.settle();
        bench.store.get("/hosts/here", [&stored](const store::Result<store::Lookup>& lookup) {
            REQUIRE(lookup);
            stored = lookup->entry
                         ? std::optional{model::from_json<model::Host>(lookup->entry->value)}
                         : std::nullopt;
        });
        bench.loop.settle();
        return stored;
    };
    host.set_memory_pressure("it has too little");
    CHECK_FALSE(read());  // Nobody knows yet whether the name is its own.
    host.tell();
    REQUIRE(read());
    CHECK(stored->memory_pressure == "it has too little");
    model::Host cordoned = *stored;
    cordoned.scheduling = model::Scheduling::cordoned;
    bench.put("/hosts/here", model::to_json(cordoned));
    host.set_memory_pressure("");
    CHECK(read()->memory_pressure.empty());
    CHECK(stored->scheduling == model::Scheduling::cordoned);
}

}  // namespace shoal::node::test
