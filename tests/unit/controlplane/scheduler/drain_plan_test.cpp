#include "controlplane/scheduler/drain_plan.h"

#include <doctest/doctest.h>

#include "tests/unit/controlplane/scheduler/cluster_fixture.h"

using namespace shoal;
using namespace shoal::scheduler;
using namespace shoal::scheduler::test;

namespace {

HostIdx add_draining(Cluster& cluster) {
    model::Host host = make_host("drains", 4096, 32);
    host.scheduling = model::Scheduling::draining;
    return add_host(cluster, host);
}

}  // namespace

TEST_CASE("a drain ends with an empty host, a few moves at a time, the largest first") {
    Cluster cluster;
    const HostIdx host = add_draining(cluster);
    add_host(cluster, make_host("h1", 4096, 32));
    for (int i = 0; i < 10; ++i) {
        cluster.put("vm" + std::to_string(i), shared(make_workload(64U + static_cast<unsigned>(i))),
                    host, Claim::placed);
    }
    Moves moves{cluster, {.out_of_host = 3, .into_host = 8, .in_cluster = 8}};
    std::vector<std::string> order;
    for (int round = 0; round < 10; ++round) {
        const DrainPlan plan = plan_drain(cluster, moves, host, all_can);
        CHECK(plan.begun.size() <= 3);
        CHECK(plan.stays.empty());
        if (plan.is_done()) {
            break;
        }
        for (const Move& move : plan.begun) {
            const auto workload = cluster.find(move.microvm)->workload;
            moves.end(move.microvm);
            cluster.put(move.microvm, workload, move.to, Claim::placed);
            order.push_back(move.microvm);
        }
    }
    CHECK(cluster.host(host).microvms.empty());
    REQUIRE(order.size() == 10);
    CHECK(order.front() == "vm9");
    CHECK(order.back() == "vm0");
}

TEST_CASE("what cannot leave says why") {
    Cluster cluster;
    const HostIdx host = add_draining(cluster);
    add_host(cluster, make_host("small", 64));
    cluster.put("large", shared(make_workload(2048)), host, Claim::placed);
    cluster.put("bound", shared(make_workload(32)), host, Claim::placed);
    cluster.put("leaves", shared(make_workload(32)), host, Claim::leaving);
    Moves moves{cluster};
    const DrainPlan plan = plan_drain(cluster, moves, host, [](const std::string& microvm) {
        return microvm == "bound" ? std::optional<std::string>{"its disk is a vhost-user socket"}
                                  : std::nullopt;
    });
    REQUIRE(plan.stays.size() == 2);
    CHECK(plan.stays[0].microvm == "large");
    CHECK(plan.stays[0].reason == "1 host: 1 too little memory");
    CHECK(plan.stays[1].reason == "its disk is a vhost-user socket");
    CHECK_FALSE(plan.is_done());
}

TEST_CASE("while others move, one without a target waits and is not given up") {
    Cluster cluster;
    const HostIdx host = add_draining(cluster);
    add_host(cluster, make_host("h1", 512));
    cluster.put("a", shared(make_workload(512)), host, Claim::placed);
    cluster.put("b", shared(make_workload(400)), host, Claim::placed);
    Moves moves{cluster};
    const DrainPlan plan = plan_drain(cluster, moves, host, all_can);
    CHECK(plan.begun.size() == 1);
    CHECK(plan.waiting == 1);
    CHECK(plan_drain(cluster, moves, host, all_can).moving == 1);
}
