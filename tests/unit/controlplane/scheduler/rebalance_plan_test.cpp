#include "controlplane/scheduler/rebalance_plan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "tests/unit/controlplane/scheduler/cluster_fixture.h"

using namespace shoal;
using namespace shoal::scheduler;
using namespace shoal::scheduler::test;

namespace {

void carry_out(Cluster& cluster, Moves& moves, const std::vector<Move>& plan) {
    for (const Move& move : plan) {
        const auto workload = cluster.find(move.microvm)->workload;
        moves.end(move.microvm);
        cluster.put(move.microvm, workload, move.to, Claim::placed);
    }
}

double fullest(const Cluster& cluster) {
    double most = 0;
    for (HostIdx host = 0; host < cluster.host_count(); ++host) {
        most = std::max(most, fullness(cluster.host(host)));
    }
    return most;
}

}  // namespace

TEST_CASE("rebalancing ends, within its budget, and never makes the fullest host fuller") {
    for (unsigned seed = 0; seed < 20; ++seed) {
        std::mt19937 random{seed};
        Cluster cluster;
        for (int i = 0; i < 12; ++i) {
            add_host(cluster, make_host("h" + std::to_string(i), 4096, 32));
        }
        for (int i = 0; i < 60; ++i) {
            // Most are on the first hosts.
            const auto host = static_cast<HostIdx>(std::min(random() % 12, random() % 12) / 2);
            const auto workload = shared(make_workload(64 + random() % 256, 1 + random() % 2));
            if (cluster.host(host).free.holds(Room{workload->resources})) {
                cluster.put("vm" + std::to_string(i), workload, host, Claim::placed);
            }
        }
        Moves moves{cluster};
        const double before = fullest(cluster);
        int rounds = 0;
        for (double last = before; rounds < 50; ++rounds) {
            const auto plan = plan_rebalance(cluster, moves, all_can, {.moves = 5});
            CHECK(plan.size() <= 5);
            if (plan.empty()) {
                break;
            }
            carry_out(cluster, moves, plan);
            CHECK(fullest(cluster) <= last);
            last = fullest(cluster);
        }
        CAPTURE(seed);
        CHECK(rounds < 50);
        CHECK(moves.count() == 0);
        CHECK(fullest(cluster) < before);
    }
}

TEST_CASE("a host that shrank is relieved even where all are full") {
    Cluster cluster;
    const HostIdx host = add_host(cluster, make_host("h1", 1024));
    const HostIdx other = add_host(cluster, make_host("h2", 1024));
    for (int i = 0; i < 8; ++i) {
        cluster.put("vm" + std::to_string(i), shared(make_workload(128, 0)), host, Claim::placed);
    }
    cluster.put("there", shared(make_workload(640, 0)), other, Claim::placed);
    cluster.put_host(make_host("h1", 768));
    Moves moves{cluster};
    const auto plan = plan_rebalance(cluster, moves, all_can);
    REQUIRE_FALSE(plan.empty());
    CHECK(plan[0].from == host);
    CHECK(plan[0].to == other);
}

TEST_CASE("a balanced cluster and one that cannot be moved are left alone") {
    Cluster cluster;
    const HostIdx first = add_host(cluster, make_host("h1", 1024));
    add_host(cluster, make_host("h2", 1024));
    Moves moves{cluster};
    CHECK(plan_rebalance(cluster, moves, all_can).empty());
    for (int i = 0; i < 6; ++i) {
        cluster.put("vm" + std::to_string(i), shared(make_workload(128, 0)), first, Claim::placed);
    }
    const auto none_can = [](const std::string&) { return std::optional<std::string>{"no"}; };
    CHECK(plan_rebalance(cluster, moves, none_can).empty());
    CHECK_FALSE(plan_rebalance(cluster, moves, all_can).empty());
}
