#include "controlplane/scheduler/score.h"

#include <doctest/doctest.h>

#include "tests/unit/controlplane/scheduler/cluster_fixture.h"

using namespace shoal;
using namespace shoal::scheduler;
using namespace shoal::scheduler::test;

TEST_CASE("bin-packing prefers the fuller host, spreading the emptier one") {
    Cluster cluster;
    const HostIdx fuller = add_host(cluster, make_host("h1"));
    const HostIdx emptier = add_host(cluster, make_host("h2"));
    cluster.put("vm", shared(make_workload(256, 2)), fuller, Claim::placed);
    Workload workload = make_workload();
    CHECK(score(cluster, fuller, workload) > score(cluster, emptier, workload));
    workload.spreading = model::Spreading::spread;
    CHECK(score(cluster, fuller, workload) < score(cluster, emptier, workload));
}

TEST_CASE("bin-packing prefers the host whose memory and CPUs are used up evenly") {
    Cluster cluster;
    const HostIdx even = add_host(cluster, make_host("h1", 1024, 8));
    const HostIdx uneven = add_host(cluster, make_host("h2", 1024, 8));
    cluster.put("vm1", shared(make_workload(512, 2)), even, Claim::placed);
    cluster.put("vm2", shared(make_workload(256, 4)), uneven, Claim::placed);
    const Workload wants_cpus = make_workload(128, 3);
    CHECK(score(cluster, even, wants_cpus) > score(cluster, uneven, wants_cpus));
}

TEST_CASE("a host with the image wins, unless another is much better") {
    Cluster cluster;
    const HostIdx with = add_host(cluster, make_host("h1"));
    const HostIdx without = add_host(cluster, make_host("h2"));
    cluster.set_images(with, {"web"});
    Workload workload = make_workload();
    workload.image = "web";
    cluster.put("vm1", shared(make_workload(128, 1)), without, Claim::placed);
    CHECK(score(cluster, with, workload) > score(cluster, without, workload));
    cluster.put("vm2", shared(make_workload(640, 5)), without, Claim::placed);
    CHECK(score(cluster, with, workload) < score(cluster, without, workload));
}

TEST_CASE("a host that has nothing to give is no division by zero") {
    Cluster cluster;
    const HostIdx host = add_host(cluster, make_host("h", 0, 0));
    CHECK(score(cluster, host, make_workload()) == 1'000'000);
}
