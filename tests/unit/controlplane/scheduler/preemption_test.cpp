#include "controlplane/scheduler/preemption.h"

#include <doctest/doctest.h>

#include "tests/unit/controlplane/scheduler/cluster_fixture.h"

using namespace shoal;
using namespace shoal::scheduler;
using namespace shoal::scheduler::test;

namespace {

void place(Cluster& cluster, const std::string& name, HostIdx host, std::int32_t priority,
           std::uint64_t memory_mib) {
    Workload workload = make_workload(memory_mib, 0);
    workload.priority = priority;
    cluster.put(name, shared(workload), host, Claim::placed);
}

Workload urgent(std::uint64_t memory_mib) {
    Workload workload = make_workload(memory_mib, 0);
    workload.priority = 10;
    return workload;
}

}  // namespace

TEST_CASE("the lowest priorities give way, and of those the fewest") {
    Cluster cluster;
    const HostIdx middle = add_host(cluster, make_host("h1"));
    const HostIdx many = add_host(cluster, make_host("h2"));
    const HostIdx few = add_host(cluster, make_host("h3"));
    place(cluster, "m", middle, 5, 1024);
    for (int i = 0; i < 4; ++i) {
        place(cluster, "s" + std::to_string(i), many, 1, 256);
    }
    place(cluster, "l0", few, 1, 512);
    place(cluster, "l1", few, 1, 512);
    const auto found = find_preemption(cluster, urgent(512));
    REQUIRE(found);
    CHECK(found->host == few);
    CHECK(found->victims.size() == 1);
}

TEST_CASE("whoever is not needed after all stays") {
    Cluster cluster;
    const HostIdx host = add_host(cluster, make_host("h", 1024));
    place(cluster, "lowest", host, 1, 128);
    place(cluster, "low", host, 2, 896);
    const auto found = find_preemption(cluster, urgent(896));
    REQUIRE(found);
    CHECK(found->victims == std::vector<std::string>{"low"});
}

TEST_CASE("equal and higher priorities do not give way") {
    Cluster cluster;
    const HostIdx host = add_host(cluster, make_host("h", 1024));
    place(cluster, "equal", host, 10, 512);
    place(cluster, "higher", host, 11, 512);
    CHECK_FALSE(find_preemption(cluster, urgent(1)));
}

TEST_CASE("a host that may not be used is not cleared for nothing") {
    Cluster cluster;
    model::Host facts = make_host("h", 1024);
    facts.scheduling = model::Scheduling::cordoned;
    place(cluster, "low", add_host(cluster, facts), 1, 1024);
    CHECK_FALSE(find_preemption(cluster, urgent(512)));
}

TEST_CASE("nobody else is stopped where enough is leaving") {
    Cluster cluster;
    const HostIdx host = add_host(cluster, make_host("h", 1024));
    place(cluster, "stays", host, 1, 512);
    cluster.put("leaves", shared(make_workload(512, 0)), host, Claim::leaving);
    const auto found = find_preemption(cluster, urgent(512));
    REQUIRE(found);
    CHECK(found->victims.empty());
}
