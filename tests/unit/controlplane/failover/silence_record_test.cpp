#include "controlplane/failover/silence_record.h"

#include <doctest/doctest.h>

#include "tests/unit/controlplane/failover/failover_fixture.h"

using namespace shoal;
using namespace shoal::failover;
using namespace shoal::failover::test;

namespace {

struct Fixture : Bench {
    LossyStore lossy{*this};
    SilenceRecord record{loop, lossy};

    Fixture() { record.start(); }
    store::Revision beat(std::uint64_t sequence) {
        put("/heartbeats/h", model::to_json(model::Heartbeat{1, sequence}));
        return get("/heartbeats/h")->mod_revision;
    }
    failover::Time silent_for(store::Revision revision) {
        const auto silence = record.find("h", revision);
        return silence ? silence->silent_for() : failover::Time{-1};
    }
};

}  // namespace

TEST_CASE("a host that does not lead knows how long another one has been silent") {
    Fixture fixture;
    const store::Revision first = fixture.beat(1);
    fixture.run(5s);
    CHECK(fixture.silent_for(first) > 4s);
    const store::Revision second = fixture.beat(2);
    fixture.run(500ms);
    CHECK(fixture.silent_for(second) < 1s);
    SUBCASE("what it knows of an older heartbeat is nothing") {
        CHECK(fixture.silent_for(first) == failover::Time{-1});
    }
    SUBCASE("nor of a host that is gone") {
        fixture.remove("/heartbeats/h");
        fixture.run(1s);
        CHECK(fixture.silent_for(second) == failover::Time{-1});
    }
}

TEST_CASE("after the store did not answer nobody counts as silent until all had time to be heard") {
    Fixture fixture;
    const store::Revision first = fixture.beat(1);
    fixture.run(3s);
    fixture.lossy.loss = LossyStore::Loss::answers;
    fixture.run(3s);
    fixture.lossy.loss = LossyStore::Loss::nothing;
    fixture.run(1s);
    CHECK(fixture.silent_for(first) == 0s);
    CHECK(fixture.record.silent_for("h", 300ms) > 6s);
    fixture.run(2s);
    CHECK(fixture.silent_for(first) > 8s);
    CHECK(fixture.record.silent_for("h", 2s) > 8s);
    CHECK(fixture.record.silent_for("nobody", 0s) == 0s);
}
