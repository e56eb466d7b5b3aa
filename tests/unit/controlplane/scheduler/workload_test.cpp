#include "controlplane/scheduler/workload.h"

#include <doctest/doctest.h>

#include "tests/unit/controlplane/scheduler/cluster_fixture.h"

using namespace shoal::scheduler;
using shoal::scheduler::test::make_workload;

TEST_CASE("equal workloads are one object, others are not") {
    WorkloadTable table;
    Workload one;
    one.host_labels = {{"disk", "fast"}};
    Workload other = one;
    other.zone = std::string{"b"};  // not part of the hash
    const auto first = table.intern(one);
    CHECK(table.intern(one) == first);
    CHECK(table.intern(other) != first);
    CHECK(table.count() == 2);
}

TEST_CASE("workloads that nobody uses are forgotten, the others kept") {
    WorkloadTable table;
    const auto kept = table.intern(make_workload(7, 7));
    for (std::uint64_t i = 0; i < 5000; ++i) {
        const auto dropped = table.intern(make_workload(i + 100));
    }
    CHECK(table.count() <= 1025);
    CHECK(table.intern(make_workload(7, 7)) == kept);
}
