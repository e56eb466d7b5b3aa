#include "controlplane/scheduler/misfit.h"

#include <doctest/doctest.h>

#include "tests/unit/controlplane/scheduler/cluster_fixture.h"

using namespace shoal;
using namespace shoal::scheduler;
using namespace shoal::scheduler::test;

TEST_CASE("each filter refuses what it is for, and only that") {
    Cluster cluster;
    model::Host facts = make_host("h", 1024, 4, "a");
    facts.labels = {{"disk", "fast"}};
    facts.cpu_model = "x1";
    HostIdx host = add_host(cluster, facts);
    Workload workload = make_workload(1024, 4);
    workload.zone = "a";
    workload.host_labels = {{"disk", "fast"}};
    workload.cpu_model = "x1";
    CHECK_FALSE(misfit(cluster, host, workload));

    SUBCASE("silent") {
        cluster.set_liveness(host, Liveness::silent);
        CHECK(misfit(cluster, host, workload) == Misfit::silent);
    }
    SUBCASE("cordoned") {
        facts.scheduling = model::Scheduling::cordoned;
        cluster.put_host(facts);
        CHECK(misfit(cluster, host, workload) == Misfit::cordoned);
    }
    SUBCASE("draining") {
        facts.scheduling = model::Scheduling::draining;
        cluster.put_host(facts);
        CHECK(misfit(cluster, host, workload) == Misfit::draining);
    }
    SUBCASE("memory pressure") {
        facts.memory_pressure = "the host is short of memory";
        cluster.put_host(facts);
        CHECK(misfit(cluster, host, workload) == Misfit::pressure);
        facts.memory_pressure.clear();
        cluster.put_host(facts);
        CHECK_FALSE(misfit(cluster, host, workload));
    }
    SUBCASE("zone") {
        workload.zone = "b";
        CHECK(misfit(cluster, host, workload) == Misfit::zone);
    }
    SUBCASE("a label with another value") {
        workload.host_labels["disk"] = "slow";
        CHECK(misfit(cluster, host, workload) == Misfit::labels);
    }
    SUBCASE("a label that the host lacks") {
        workload.host_labels["gpu"] = "";
        CHECK(misfit(cluster, host, workload) == Misfit::labels);
    }
    SUBCASE("CPU model") {
        workload.cpu_model = "x2";
        CHECK(misfit(cluster, host, workload) == Misfit::cpu_model);
    }
    SUBCASE("volumes on another host, or on none") {
        workload.volume_host = "h";
        CHECK_FALSE(misfit(cluster, host, workload));
        workload.volume_host = "h2";
        CHECK(misfit(cluster, host, workload) == Misfit::volumes);
        workload.volume_host = "";
        CHECK(misfit(cluster, host, workload) == Misfit::volumes);
    }
    SUBCASE("storages of volumes") {
        workload.storages = {"fast"};
        CHECK(misfit(cluster, host, workload) == Misfit::storages);
        facts.storages = {"large", "fast"};
        cluster.put_host(facts);
        CHECK_FALSE(misfit(cluster, host, workload));
        workload.storages = {"fast", "other"};
        CHECK(misfit(cluster, host, workload) == Misfit::storages);
    }
    SUBCASE("one of the group on the host") {
        workload.group = "web";
        workload.anti_affinity = model::AntiAffinity::host;
        cluster.put("web-0", shared([&] {
                        Workload small = workload;
                        small.resources = {};
                        return small;
                    }()),
                    host, Claim::placed);
        CHECK(misfit(cluster, host, workload) == Misfit::group_on_host);
    }
    SUBCASE("one of the group in the zone") {
        workload.group = "web";
        workload.anti_affinity = model::AntiAffinity::zone;
        const HostIdx neighbour = add_host(cluster, make_host("h2", 2048, 8, "a"));
        cluster.put("web-0", shared(workload), neighbour, Claim::placed);
        CHECK(misfit(cluster, host, workload) == Misfit::group_in_zone);
    }
    SUBCASE("memory, one past") {
        workload.resources.memory_mib = 1025;
        CHECK(misfit(cluster, host, workload) == Misfit::memory);
    }
    SUBCASE("CPUs, one past") {
        workload.resources.vcpu_millis = 4001;
        CHECK(misfit(cluster, host, workload) == Misfit::vcpus);
    }
    SUBCASE("number of microVMs") {
        facts.allocatable.microvms = 0;
        cluster.put_host(facts);
        CHECK(misfit(cluster, host, workload) == Misfit::microvms);
    }
}

TEST_CASE("a reason counts hosts, the most frequent first") {
    Cluster cluster;
    CHECK(explain(cluster, make_workload()) == "there are no hosts");
    model::Host cordoned = make_host("h1");
    cordoned.scheduling = model::Scheduling::cordoned;
    add_host(cluster, cordoned);
    CHECK(explain(cluster, make_workload()) == "1 host: 1 cordoned");
    add_host(cluster, make_host("h2", 64));
    add_host(cluster, make_host("h3", 64));
    const HostIdx gone = add_host(cluster, make_host("h4", 64));
    cluster.remove_host(gone);
    CHECK(explain(cluster, make_workload()) == "3 hosts: 2 too little memory, 1 cordoned");
}
