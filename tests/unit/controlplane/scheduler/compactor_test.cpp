#include "controlplane/scheduler/compactor.h"

#include <doctest/doctest.h>

#include "controlplane/scheduler/leader.h"
#include "tests/unit/controlplane/failover/failover_fixture.h"

using namespace shoal;
using namespace shoal::scheduler;
using namespace shoal::failover::test;

namespace {

bool remembers(Bench& bench, store::Revision revision) {
    std::optional<store::Result<store::Page>> answer;
    bench.store.list({.prefix = "/", .revision = revision},
                     [&answer](store::Result<store::Page> page) { answer = std::move(page); });
    bench.run(0s);
    REQUIRE(answer);
    CHECK((answer->has_value() || answer->error().failure == store::Failure::compacted));
    return answer->has_value();
}

// A revision after which there is another one at once.
store::Revision write(Bench& bench) {
    const auto revision = bench.commit({{}, {store::Put{"/x", "1"}}});
    REQUIRE(revision);
    bench.put("/x", "2");
    return *revision;
}

}  // namespace

TEST_CASE("who leads has the store forget what is older than ten minutes, and nothing newer") {
    Bench bench;
    Leader leader{bench.loop, bench.store, "a"};
    leader.start();
    bench.run(5s);
    const store::Revision first = write(bench);
    bench.run(9min + 50s);
    const store::Revision second = write(bench);
    CHECK(remembers(bench, first));
    bench.run(3min);
    CHECK_FALSE(remembers(bench, first));
    CHECK(remembers(bench, second));
    // Again and again.
    bench.run(10min);
    write(bench);
    bench.run(2min);
    CHECK_FALSE(remembers(bench, second));
    CHECK(bench.get("/x")->value == "2");
}

TEST_CASE("a host that comes to lead late has the store forget soon") {
    Bench bench;
    auto first = std::make_unique<Leader>(bench.loop, bench.store, "a");
    first->start();
    bench.run(2s);
    Leader second{bench.loop, bench.store, "b"};
    second.start();
    const store::Revision written = write(bench);
    bench.run(9min);
    REQUIRE(first->controller() != nullptr);
    first.reset();
    write(bench);
    bench.run(4min);
    REQUIRE(second.controller() != nullptr);
    CHECK_FALSE(remembers(bench, written));
}

TEST_CASE("who does not lead has the store forget nothing") {
    Bench bench;
    bench.put("/leader", R"({"host":"other"})");
    Leader leader{bench.loop, bench.store, "a"};
    leader.start();
    const store::Revision written = write(bench);
    write(bench);
    bench.run(20min);
    REQUIRE(leader.controller() == nullptr);
    CHECK(remembers(bench, written));
}
