#include "controlplane/scheduler/controller.h"

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

struct Fixture : Bench {
    Leader leader{loop, store, "leader"};

    Fixture() { leader.start(); }
    void add_host(const std::string& name, model::Scheduling scheduling = {}) {
        model::Host host = scheduler::test::make_host(name);
        host.scheduling = scheduling;
        put(keys::of(keys::hosts, name), model::to_json(host));
        beat(name, {1, 1});
    }
    void beat(const std::string& name, model::Heartbeat heartbeat) {
        put(keys::of(keys::heartbeats, name), model::to_json(heartbeat));
    }
    // For longer than reasons are kept back.
    void live(const std::vector<std::string>& hosts) {
        for (std::uint64_t sequence = 2; sequence < 20; ++sequence) {
            for (const std::string& host : hosts) {
                beat(host, {1, sequence});
            }
            run(500ms);
        }
    }
    void add_microvm(const std::string& name, std::uint64_t memory_mib = 128,
                     model::HostFailurePolicy policy = model::HostFailurePolicy::restart) {
        model::MicroVmSpec spec;
        spec.name = name;
        spec.program = "/bin/true";
        spec.memory_mib = memory_mib;
        spec.on_host_failure = policy;
        put(keys::of(keys::microvms, name), model::to_json(spec));
    }
    void add_attached(const std::string& name, std::vector<std::string> volumes,
                      model::HostFailurePolicy policy = model::HostFailurePolicy::restart) {
        model::MicroVmSpec spec;
        spec.on_host_failure = policy;
        spec.name = name;
        spec.program = "/bin/true";
        spec.volumes = std::move(volumes);
        put(keys::of(keys::microvms, name), model::to_json(spec));
    }
    void put_volume(const std::string& name, const std::string& host) {
        put(keys::of(keys::volumes, name), model::to_json(model::Volume{name, 1, host}));
    }
    std::optional<model::Placement> placement(const std::string& name) {
        const auto entry = get(keys::of(keys::placements, name));
        return entry ? std::optional{model::from_json<model::Placement>(entry->value)}
                     : std::nullopt;
    }
    std::optional<model::Assignment> assignment(const std::string& host, const std::string& name) {
        const auto entry = get(keys::of(keys::assignments, host, name));
        return entry ? std::optional{model::from_json<model::Assignment>(entry->value)}
                     : std::nullopt;
    }
    std::optional<model::MicroVmStatus> status(std::string_view host, const std::string& name) {
        const auto entry = get(keys::of(keys::statuses, host, name));
        return entry ? std::optional{model::from_json<model::MicroVmStatus>(entry->value)}
                     : std::nullopt;
    }
};

}  // namespace

TEST_CASE("a microVM is bound to a host under its epoch, with the host's assignment") {
    Fixture fixture;
    fixture.add_host("h1");
    fixture.add_microvm("vm");
    fixture.run(1s);
    REQUIRE(fixture.placement("vm"));
    CHECK(fixture.placement("vm")->host == "h1");
    CHECK(fixture.placement("vm")->epoch == 1);
    CHECK(fixture.assignment("h1", "vm")->wanted == model::Assignment::Wanted::run);
    CHECK(fixture.get("/assignments/h1/vm")->create_revision ==
          fixture.get("/placements/vm")->mod_revision);
}

TEST_CASE("one that is not placed has a reason, which goes when it is placed") {
    Fixture fixture;
    fixture.add_host("h1", model::Scheduling::cordoned);
    fixture.add_microvm("vm");
    fixture.live({"h1"});
    CHECK(fixture.status(keys::no_host, "vm")->reason == "1 host: 1 cordoned");
    fixture.add_host("h2");
    fixture.run(1s);
    CHECK(fixture.placement("vm")->host == "h2");
    CHECK_FALSE(fixture.status(keys::no_host, "vm"));
}

TEST_CASE("a microVM runs where its volumes are, or waits and says so") {
    Fixture fixture;
    fixture.add_host("h1");
    fixture.add_host("h2");
    fixture.put_volume("a", "h2");
    fixture.put_volume("b", "h2");
    fixture.put_volume("elsewhere", "h1");
    fixture.add_attached("both", {"a", "b"});
    fixture.add_attached("apart", {"a", "elsewhere"});
    fixture.add_attached("early", {"late"});
    fixture.live({"h1", "h2"});
    CHECK(fixture.placement("both")->host == "h2");
    for (const char* name : {"apart", "early"}) {
        CHECK_FALSE(fixture.placement(name));
        CHECK(fixture.status(keys::no_host, name)->reason == "2 hosts: 2 without its volumes");
    }
    fixture.put_volume("late", "h1");
    fixture.run(1s);
    CHECK(fixture.placement("early")->host == "h1");
}

TEST_CASE("a group's member lacks volumes at first, and later runs where they are") {
    Fixture fixture;
    fixture.add_host("h1");
    fixture.add_host("h2");
    model::Group group;
    group.name = "g";
    group.count = 2;
    group.microvm.program = "/bin/true";
    group.volumes = {{"data", 1}, {"log", 1}};
    fixture.put_volume("g-1-log", "h2");
    fixture.put(keys::of(keys::groups, "g"), model::to_json(group));
    fixture.run(1s);
    const auto spec = [&fixture](const std::string& name) {
        return model::from_json<model::MicroVmSpec>(
            fixture.get(keys::of(keys::microvms, name))->value);
    };
    CHECK(spec("g-0").volumes == std::vector<std::string>{"g-0-data", "g-0-log"});
    CHECK(fixture.placement("g-0"));
    REQUIRE(fixture.placement("g-1"));
    CHECK(fixture.placement("g-1")->host == "h2");
    for (const char* name : {"g-0", "g-1"}) {
        model::MicroVmStatus status;
        status.phase = model::Phase::running;
        status.host = fixture.placement(name)->host;
        fixture.put(keys::of(keys::statuses, status.host, name), model::to_json(status));
    }
    const auto before = fixture.get(keys::of(keys::microvms, "g-0"))->mod_revision;
    fixture.live({"h1", "h2"});
    CHECK_FALSE(fixture.get(keys::of(keys::deletions, "g-0")));  // It is as its group says.
    CHECK(fixture.get(keys::of(keys::microvms, "g-0"))->mod_revision == before);

    group.volumes.pop_back();
    fixture.put(keys::of(keys::groups, "g"), model::to_json(group));
    fixture.live({"h1", "h2"});
    const bool has_outdated = fixture.get(keys::of(keys::deletions, "g-0")).has_value() !=
                              fixture.get(keys::of(keys::deletions, "g-1")).has_value();
    CHECK(has_outdated);  // One at a time.
}

TEST_CASE("what has its volumes on a storage runs on any host that reaches it") {
    Fixture fixture;
    for (const char* name : {"h1", "h2", "h3"}) {
        fixture.add_host(name);
    }
    const auto reach = [&](const char* name, std::vector<std::string> storages) {
        auto host = model::from_json<model::Host>(fixture.get(keys::of(keys::hosts, name))->value);
        host.storages = std::move(storages);
        fixture.put(keys::of(keys::hosts, name), model::to_json(host));
    };
    reach("h1", {"one"});
    reach("h2", {"one", "two"});
    const auto put_volume = [&](const char* name, const char* storage) {
        fixture.put(keys::of(keys::volumes, name),
                    model::to_json(model::Volume{
                        .name = name, .size_mib = 1, .host = "h1", .storage = storage}));
    };
    put_volume("a", "one");
    put_volume("b", "two");
    fixture.put_volume("own", "h3");
    fixture.add_attached("both", {"a", "b"});
    fixture.add_attached("apart", {"a", "own"});
    model::Group group;
    group.name = "g";
    group.count = 3;
    group.microvm.program = "/bin/true";
    group.volumes = {{"data", 1, "two"}, {"more", 1, "two"}};
    fixture.put(keys::of(keys::groups, "g"), model::to_json(group));
    fixture.live({"h1", "h2", "h3"});
    CHECK(fixture.placement("both")->host == "h2");
    CHECK_FALSE(fixture.placement("apart"));
    CHECK(fixture.status(keys::no_host, "apart")->reason ==
          "3 hosts: 2 without its volumes, 1 without the storage of its volumes");
    for (const char* name : {"g-0", "g-1", "g-2"}) {  // whose volumes nobody has made yet
        REQUIRE(fixture.placement(name));
        CHECK(fixture.placement(name)->host == "h2");
    }
}

TEST_CASE("what a lost host had is placed again, or has failed, as each microVM wants it") {
    Fixture fixture;
    fixture.add_host("h1");
    fixture.add_microvm("again");
    fixture.add_microvm("not-again", 128, model::HostFailurePolicy::none);
    fixture.run(1s);
    REQUIRE(fixture.placement("again")->host == "h1");
    REQUIRE(fixture.placement("not-again")->host == "h1");
    fixture.add_host("h2");
    fixture.beat("h1", {2, 0});
    fixture.run(500ms);
    CHECK(fixture.placement("again")->host == "h2");
    CHECK_FALSE(fixture.placement("not-again"));
    CHECK(fixture.status(keys::no_host, "not-again")->phase == model::Phase::failed);
    CHECK(fixture.status(keys::no_host, "not-again")->reason == "its host h1 was lost");
    CHECK_FALSE(fixture.assignment("h1", "again"));
}

TEST_CASE("what is restored goes to a host that has its checkpoint, and to no other kind of CPU") {
    Fixture fixture;
    fixture.add_host("h1");
    fixture.add_microvm("kept", 128, model::HostFailurePolicy::restore);
    fixture.add_microvm("other-cpu", 128, model::HostFailurePolicy::restore);
    fixture.add_microvm("too-young", 128, model::HostFailurePolicy::restore);
    fixture.run(1s);
    for (const char* name : {"h2", "h3", "h4", "h5"}) {
        fixture.add_host(name);
    }
    model::Checkpoint checkpoint;
    checkpoint.generation = 1;
    checkpoint.hosts = {"h4"};
    fixture.put("/checkpoints/kept", model::to_json(checkpoint));
    checkpoint.cpu_model = "another CPU";
    fixture.put("/checkpoints/other-cpu", model::to_json(checkpoint));
    fixture.run(500ms);
    fixture.beat("h1", {2, 0});
    fixture.run(500ms);
    CHECK(fixture.placement("kept")->host == "h4");
    CHECK(fixture.get("/checkpoints/kept"));
    CHECK_FALSE(fixture.placement("other-cpu"));
    CHECK(fixture.placement("too-young"));
}

TEST_CASE("a checkpoint lets volumes be left behind; without one their microVM waits for them") {
    Fixture fixture;
    fixture.add_host("h1");
    fixture.put_volume("a", "h1");
    fixture.put_volume("b", "h1");
    fixture.add_attached("saved", {"a"}, model::HostFailurePolicy::restore);
    fixture.add_attached("too-young", {"b"}, model::HostFailurePolicy::restore);
    fixture.run(1s);
    CHECK(fixture.placement("saved"));
    fixture.add_host("h2");
    model::Checkpoint checkpoint;
    checkpoint.hosts = {"h2"};
    fixture.put("/checkpoints/saved", model::to_json(checkpoint));
    fixture.run(500ms);
    model::Host host = scheduler::test::make_host("h1");
    host.scheduling = model::Scheduling::cordoned;
    fixture.put("/hosts/h1", model::to_json(host));
    fixture.beat("h1", {2, 0});
    fixture.run(500ms);
    CHECK(fixture.placement("saved")->host == "h2");
    CHECK_FALSE(fixture.placement("too-young"));
}

TEST_CASE("the record of a checkpoint goes with its microVM, and one that is left over goes too") {
    Fixture fixture;
    fixture.add_host("h1", model::Scheduling::cordoned);
    fixture.add_microvm("vm", 128, model::HostFailurePolicy::restore);
    fixture.put("/checkpoints/vm", model::to_json(model::Checkpoint{}));
    fixture.put("/checkpoints/left", model::to_json(model::Checkpoint{}));
    fixture.run(1s);
    CHECK(fixture.get("/checkpoints/vm"));
    CHECK_FALSE(fixture.get("/checkpoints/left"));
    fixture.put("/deletions/vm", "{}");
    fixture.run(500ms);
    CHECK_FALSE(fixture.get("/microvms/vm"));
    CHECK_FALSE(fixture.get("/checkpoints/vm"));
}

TEST_CASE("what a host that was restarted had is placed under its new epoch") {
    Fixture fixture;
    fixture.add_host("h1");
    fixture.add_microvm("vm");
    fixture.run(1s);
    fixture.beat("h1", {2, 1});
    fixture.run(500ms);
    CHECK(fixture.placement("vm")->epoch == 2);
}

TEST_CASE("one that is deleted is stopped by its host, and only then forgotten") {
    Fixture fixture;
    fixture.add_host("h1");
    fixture.add_microvm("vm");
    fixture.run(1s);
    fixture.put("/deletions/vm", "{}");
    fixture.run(500ms);
    CHECK(fixture.assignment("h1", "vm")->wanted == model::Assignment::Wanted::stop);
    CHECK(fixture.get("/microvms/vm"));
    fixture.remove("/placements/vm");
    fixture.remove("/assignments/h1/vm");
    fixture.run(500ms);
    CHECK_FALSE(fixture.get("/microvms/vm"));
    CHECK_FALSE(fixture.get("/deletions/vm"));
}

TEST_CASE("a group is kept at its count") {
    Fixture fixture;
    fixture.add_host("h1");
    model::Group group;
    group.name = "web";
    group.count = 3;
    group.microvm.program = "/bin/true";
    fixture.put("/groups/web", model::to_json(group));
    fixture.run(1s);
    CHECK(fixture.placement("web-2"));
    CHECK_FALSE(fixture.get("/microvms/web-3"));
    group.count = 1;
    fixture.put("/groups/web", model::to_json(group));
    fixture.run(1s);
    CHECK(fixture.get("/deletions/web-2"));
    CHECK_FALSE(fixture.get("/deletions/web-0"));
    fixture.remove("/groups/web");
    fixture.run(1s);
    CHECK(fixture.get("/deletions/web-0"));
}

TEST_CASE("a name that somebody else has keeps a group from that member alone") {
    Fixture fixture;
    fixture.add_host("h1");
    SUBCASE("of a microVM") {
        fixture.add_microvm("web-1");
    }
    SUBCASE("of one that cannot be read") {
        fixture.put("/microvms/web-1", R"({"program":7})");
    }
    model::Group group;
    group.name = "web";
    group.count = 3;
    group.microvm.program = "/bin/true";
    fixture.put("/groups/web", model::to_json(group));
    fixture.live({"h1"});
    CHECK(fixture.placement("web-0"));
    CHECK(fixture.placement("web-2"));
    CHECK_FALSE(fixture.get("/deletions/web-1"));
    fixture.remove("/microvms/web-1");
    fixture.remove("/placements/web-1");
    fixture.live({"h1"});
    REQUIRE(fixture.get("/microvms/web-1"));
    CHECK(fixture.placement("web-1"));
}

TEST_CASE("that failover is stopped is in the store for as long as it is") {
    Fixture fixture;
    fixture.put("/failover/state", R"({"stopped":"an earlier leader said so"})");
    const std::vector<std::string> all{"h1", "h2", "h3", "h4"};
    for (const std::string& host : all) {
        fixture.add_host(host);
    }
    fixture.live(all);
    CHECK_FALSE(fixture.get("/failover/state"));
    for (std::uint64_t sequence = 100; sequence < 105; ++sequence) {
        fixture.beat("h1", {1, sequence});
        fixture.run(500ms);
    }
    const auto said = fixture.get("/failover/state");
    REQUIRE(said);
    CHECK(said->value.find("3 of 4 hosts are silent, more than 2") != std::string::npos);
    fixture.live(all);
    CHECK_FALSE(fixture.get("/failover/state"));
}

TEST_CASE("a member that fails is replaced ever more slowly, until it has run for a minute") {
    Fixture fixture;
    fixture.add_host("h1");
    model::Group group;
    group.name = "web";
    group.count = 1;
    group.microvm.program = "/bin/true";
    fixture.put("/groups/web", model::to_json(group));
    fixture.run(2s);
    std::uint64_t sequence = 100;
    const auto live = [&](std::chrono::milliseconds time) {
        for (; time > 0ms; time -= 500ms) {
            fixture.beat("h1", {1, ++sequence});
            fixture.run(500ms);
        }
    };
    // How long its successor takes once what is left of it is gone, in seconds; -1: more than 40.
    const auto replaced_after = [&](model::Phase phase, std::chrono::milliseconds ran) {
        REQUIRE(fixture.get("/microvms/web-0"));
        model::MicroVmStatus status;
        status.phase = model::Phase::running;
        fixture.put("/statuses/h1/web-0", model::to_json(status));
        live(ran);
        status.phase = phase;
        fixture.put("/statuses/h1/web-0", model::to_json(status));
        const auto is_deleted = [&] { return fixture.get("/deletions/web-0").has_value(); };
        for (int look = 0; look < 5 && !is_deleted(); ++look) {
            live(500ms);
        }
        REQUIRE(is_deleted());
        for (const char* key : {"/placements/web-0", "/assignments/h1/web-0", "/statuses/h1/web-0",
                                "/microvms/web-0", "/deletions/web-0"}) {
            fixture.remove(key);
        }
        for (int second = 0; second < 40; ++second) {
            live(1s);
            if (fixture.get("/microvms/web-0")) {
                return second;
            }
        }
        return -1;
    };
    int last = 0;
    for (int failure = 0; failure < 5; ++failure) {
        last = replaced_after(model::Phase::failed, 1s);
    }
    CHECK(last >= 13);
    CHECK(replaced_after(model::Phase::failed, 61s) <= 2);
    CHECK(replaced_after(model::Phase::failed, 1s) <= 3);
    for (int job = 0; job < 5; ++job) {
        CHECK(replaced_after(model::Phase::succeeded, 1s) <= 3);
    }
}

TEST_CASE("what cannot be read is left alone, and keeps nothing else back") {
    for (const char* key : {"/microvms/a", "/placements/a", "/moves/a"}) {
        for (const model::Epoch epoch : {1U, 2U}) {  // 2: its host is restarted meanwhile
            CAPTURE(key);
            CAPTURE(epoch);
            Fixture fixture;
            fixture.add_host("h1");
            fixture.add_microvm("a");
            fixture.add_microvm("b");
            fixture.run(1s);
            REQUIRE(fixture.placement("a"));
            const auto before = fixture.get(key);
            fixture.put(key, "{");
            fixture.beat("h1", {epoch, 2});
            fixture.run(2s);
            REQUIRE(fixture.placement("b"));
            CHECK(fixture.placement("b")->epoch == epoch);
            CHECK(fixture.get(key)->value == "{");
            CHECK(fixture.get("/microvms/a"));
            CHECK(fixture.get("/placements/a"));
            CHECK(fixture.assignment("h1", "a")->wanted == model::Assignment::Wanted::run);
            before ? fixture.put(key, before->value) : fixture.remove(key);
            fixture.put("/deletions/a", "{}");
            fixture.beat("h1", {epoch, 3});
            fixture.run(1s);
            const auto assignment = fixture.assignment("h1", "a");
            CHECK((!assignment || assignment->wanted == model::Assignment::Wanted::stop));
        }
    }
}

TEST_CASE("members of a group that cannot be read go on") {
    Fixture fixture;
    fixture.add_host("h1");
    model::MicroVmSpec spec;
    spec.name = "web-0";
    spec.group = "web";
    spec.program = "/bin/true";
    fixture.put("/groups/web", "{");
    fixture.put("/microvms/web-0", model::to_json(spec));
    fixture.run(3s);
    CHECK_FALSE(fixture.get("/deletions/web-0"));
    fixture.remove("/groups/web");
    fixture.run(3s);
    CHECK((fixture.get("/deletions/web-0") || !fixture.get("/microvms/web-0")));
}

TEST_CASE("a damaged value stops nothing else") {
    Fixture fixture;
    fixture.put("/hosts/bad", "{");
    fixture.put("/heartbeats/bad", "[]");
    fixture.put("/microvms/bad", R"({"program":7})");
    fixture.put("/groups/bad", "");
    fixture.put("/placements/bad", "null");
    fixture.put("/statuses/bad", "x");
    fixture.add_host("h1");
    fixture.add_microvm("vm");
    fixture.run(1s);
    CHECK(fixture.placement("vm"));
}
