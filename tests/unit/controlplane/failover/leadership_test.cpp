#include "controlplane/failover/leadership.h"

#include <doctest/doctest.h>

#include "tests/unit/controlplane/failover/failover_fixture.h"

using namespace shoal;
using namespace shoal::failover;
using namespace shoal::failover::test;

namespace {

struct Candidate final : LeadershipListener {
    explicit Candidate(Bench& bench, const std::string& name)
        : lossy{bench}, record{bench.loop, lossy}, leadership{bench.loop, lossy, name,
                                                              *this,      {},    &record} {
        record.start();
    }
    void on_leading() override { leads = true; }
    void on_following() override { leads = false; }

    LossyStore lossy;
    bool leads = false;
    SilenceRecord record;
    Leadership leadership;
};

// A lease that its holder's death does not end soon, as when etcd's own leader dies with him.
void lead_by_a_long_lease(Bench& bench, const std::string& host) {
    std::optional<store::LeaseId> lease;
    bench.store.grant(60s, [&lease](store::Result<store::LeaseId> granted) { lease = *granted; });
    bench.run(0s);
    REQUIRE(bench.commit({{}, {store::Put{"/leader", R"({"host":")" + host + R"("})", *lease}}}));
}

}  // namespace

TEST_CASE("one of two leads, and the other one after it is gone") {
    Bench bench;
    auto first = std::make_unique<Candidate>(bench, "a");
    Candidate second{bench, "b"};
    first->leadership.start();
    second.leadership.start();
    bench.run(10s);
    REQUIRE(first->leads != second.leads);
    REQUIRE(first->leads);
    CHECK(first->leadership.guard()->key == "/leader");
    CHECK_FALSE(second.leadership.guard());
    first.reset();
    bench.run(5s);
    CHECK(second.leads);
}

TEST_CASE("a leader that is cut off steps down, and its guard fails once another has led") {
    Bench bench;
    Candidate first{bench, "a"};
    Candidate second{bench, "b"};
    first.leadership.start();
    bench.run(2s);
    REQUIRE(first.leads);
    const auto guard = *first.leadership.guard();
    CHECK(bench.commit({{guard}, {store::Put{"/x", "1"}}}));
    second.leadership.start();
    first.lossy.loss = LossyStore::Loss::requests;
    bench.run(6s);
    CHECK_FALSE(first.leads);
    CHECK(second.leads);
    CHECK_FALSE(bench.commit({{guard}, {store::Put{"/x", "2"}}}));
    first.lossy.loss = LossyStore::Loss::nothing;
    bench.run(6s);
    CHECK_FALSE(first.leads);
    CHECK(second.leads);
}

TEST_CASE("an election whose answers are lost ends with one leader all the same") {
    Bench bench;
    Candidate only{bench, "a"};
    only.lossy.loss = LossyStore::Loss::answers;
    only.leadership.start();
    bench.run(1500ms);
    only.lossy.loss = LossyStore::Loss::nothing;
    bench.run(10s);
    CHECK(only.leads);
    bench.run(60s);
    CHECK(only.leads);
    CHECK(bench.get("/leader")->mod_revision == only.leadership.guard()->mod_revision);
}

TEST_CASE("a leader whose key somebody took notices when its guard is refused") {
    Bench bench;
    Candidate first{bench, "a"};
    first.leadership.start();
    bench.run(2100ms);
    bench.put("/leader", "{}");
    first.leadership.check();
    bench.run(0s);
    CHECK_FALSE(first.leads);
}

TEST_CASE("a leader whose host is silent is not waited for until its lease ends") {
    Bench bench;
    Candidate other{bench, "b"};
    lead_by_a_long_lease(bench, "a");
    bench.put("/heartbeats/a", R"({"epoch":1,"sequence":1})");
    other.leadership.start();
    bench.run(2400ms);
    CHECK_FALSE(other.leads);
    SUBCASE("it is silent") {
        bench.run(1200ms);
        CHECK(other.leads);
        CHECK(bench.get("/leader")->value == R"({"host":"b"})");
    }
    SUBCASE("it is heard") {
        for (int beat = 2; beat < 60; ++beat) {
            bench.put("/heartbeats/a", R"({"epoch":1,"sequence":)" + std::to_string(beat) + "}");
            bench.run(500ms);
        }
        CHECK_FALSE(other.leads);
    }
}

TEST_CASE("a leader whose value names nobody is left alone for as long as its lease lives") {
    Bench bench;
    Candidate other{bench, "b"};
    bench.put("/leader", R"({"host":")");
    other.leadership.start();
    bench.run(20s);
    CHECK_FALSE(other.leads);
}
