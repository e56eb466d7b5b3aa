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
    void beat(std::uint64_t sequence) {
        put("/heartbeats/h", model::to_json(model::Heartbeat{1, sequence}));
    }
    failover::Time silent_for() {
        const auto* silence = record.find("h");
        return silence != nullptr ? silence->silent_for() : failover::Time{-1};
    }
};

}  // namespace

TEST_CASE("a host that does not lead knows how long another one has been silent") {
    Fixture fixture;
    fixture.beat(1);
    fixture.run(5s);
    CHECK(fixture.silent_for() > 4s);
    fixture.beat(2);
    fixture.run(500ms);
    CHECK(fixture.silent_for() < 1s);
    SUBCASE("but not from a heartbeat that is damaged") {
        fixture.put("/heartbeats/h", "{");
        fixture.run(4s);
        CHECK(fixture.silent_for() > 4s);
    }
    SUBCASE("and nothing of a host that is gone") {
        fixture.remove("/heartbeats/h");
        fixture.run(1s);
        CHECK(fixture.silent_for() == failover::Time{-1});
    }
}

TEST_CASE("after the store did not answer nobody counts as silent until all had time to be heard") {
    Fixture fixture;
    fixture.beat(1);
    fixture.run(3s);
    fixture.lossy.loss = LossyStore::Loss::answers;
    fixture.run(3s);
    fixture.lossy.loss = LossyStore::Loss::nothing;
    fixture.run(1s);
    CHECK(fixture.silent_for() == 0s);
    CHECK(fixture.record.find("h")->silent_for(300ms) > 6s);
    fixture.run(2s);
    CHECK(fixture.silent_for() > 8s);
    CHECK(fixture.record.find("h")->silent_for(2s) > 8s);
    CHECK(fixture.record.find("nobody") == nullptr);
}
