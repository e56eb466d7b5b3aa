// Waits are for what the mirror shows, with the loop's time.
#include "controlplane/api/start_waits.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/model/microvm.h"
#include "tests/unit/controlplane/node/manual_store.h"

namespace shoal::rest::test {
namespace {

namespace keys = model::keys;
using namespace std::chrono_literals;

struct Rig : node::test::ManualStore {
    Rig() {
        mirror.start([](const store::Result<store::Revision>&) {});
        put_spec({});
    }

    void put_spec(std::optional<model::Deletion> stop) {
        model::MicroVmSpec spec;
        spec.name = "a";
        spec.program = "/p";
        spec.stop = stop;
        put(keys::of(keys::microvms, "a"), model::to_json(spec));
    }
    void place(const std::string& host) {
        put(keys::of(keys::placements, "a"), model::to_json(model::Placement{host, 0}));
    }
    void set_phase(model::Phase phase) {
        model::MicroVmStatus status;
        status.phase = phase;
        put(keys::of(keys::statuses, "here", "a"), model::to_json(status));
    }
    void wait() {
        waits.when_settled("a", 30s, [this] { ++count; });
    }

    node::Mirror mirror{loop, store};
    StartWaits waits{loop, mirror, "here"};
    int count = 0;
};

}  // namespace

TEST_CASE("who waits for a microVM to run hears of it once, as soon as it does") {
    Rig rig;
    rig.wait();
    rig.wait();
    rig.place("here");
    rig.set_phase(model::Phase::starting);
    CHECK(rig.count == 0);
    rig.set_phase(model::Phase::running);
    CHECK(rig.count == 2);
    rig.wait();
    CHECK(rig.count == 3);  // at once
    rig.loop.advance(60s);
    CHECK(rig.count == 3);
}

TEST_CASE("nobody waits for a microVM that will not run here") {
    Rig rig;
    rig.wait();
    SUBCASE("it is placed on another host") {
        rig.place("there");
    }
    SUBCASE("it has ended") {
        rig.place("here");
        rig.set_phase(model::Phase::failed);
    }
    SUBCASE("it is being deleted") {
        rig.put(keys::of(keys::deletions, "a"), "{}");
    }
    SUBCASE("it is gone") {
        rig.commit({{}, {store::Delete{keys::of(keys::microvms, "a")}}});
    }
    SUBCASE("it is stopped") {
        rig.put_spec(model::Deletion{});
    }
    CHECK(rig.count == 1);
}

TEST_CASE("patience ends, of each at its time") {
    Rig rig;
    rig.wait();
    rig.loop.advance(20s);
    rig.wait();
    rig.loop.advance(11s);
    CHECK(rig.count == 1);
    rig.loop.advance(20s);
    CHECK(rig.count == 2);
}

TEST_CASE("who waits does not hear of it after the end") {
    int count = 0;
    node::test::ManualStore bench;
    node::Mirror mirror{bench.loop, bench.store};
    mirror.start([](const store::Result<store::Revision>&) {});
    bench.put(keys::of(keys::microvms, "a"), R"({"name":"a","program":"/p"})");
    {
        StartWaits waits{bench.loop, mirror, "here"};
        waits.when_settled("a", 30s, [&count] { ++count; });
    }
    bench.put(keys::of(keys::deletions, "a"), "{}");
    bench.loop.advance(60s);
    CHECK(count == 0);
}

}  // namespace shoal::rest::test
