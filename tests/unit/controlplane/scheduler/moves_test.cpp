#include "controlplane/scheduler/moves.h"

#include <doctest/doctest.h>

#include "tests/unit/controlplane/scheduler/cluster_fixture.h"

using namespace shoal;
using namespace shoal::scheduler;
using namespace shoal::scheduler::test;

TEST_CASE("a move takes room at both ends until it ends") {
    Cluster cluster;
    const HostIdx from = add_host(cluster, make_host("h1"));
    const HostIdx to = add_host(cluster, make_host("h2"));
    cluster.put("vm", shared(make_workload(512)), from, Claim::placed);
    Moves moves{cluster};
    CHECK(moves.best_target("vm") == to);
    moves.begin({"vm", from, to});
    CHECK(moves.is_moving("vm"));
    CHECK(cluster.host(from).free.memory_mib == 512);
    CHECK(cluster.host(to).free.memory_mib == 512);
    moves.end("vm");
    CHECK(cluster.host(to).free.memory_mib == 1024);
    CHECK(moves.count() == 0);
    moves.end("vm");  // again: nothing
}

TEST_CASE("limits hold for each host and for the cluster") {
    Cluster cluster;
    const HostIdx from = add_host(cluster, make_host("h1"));
    const HostIdx to = add_host(cluster, make_host("h2"));
    const HostIdx other = add_host(cluster, make_host("h3"));
    for (const char* name : {"a", "b"}) {
        cluster.put(name, shared(make_workload()), from, Claim::placed);
    }
    Moves moves{cluster, {.out_of_host = 1, .into_host = 1, .in_cluster = 2}};
    moves.begin({"a", from, to});
    CHECK_FALSE(moves.may_leave(from));
    CHECK_FALSE(moves.may_enter(to));
    CHECK(moves.best_target("b") == other);
    moves.begin({"b", other, from});
    CHECK_FALSE(moves.may_enter(other));
}

TEST_CASE("a microVM's own place in its group does not keep it from its zone") {
    Cluster cluster;
    const HostIdx from = add_host(cluster, make_host("h1"));
    const HostIdx to = add_host(cluster, make_host("h2"));
    Workload workload = make_workload();
    workload.group = "web";
    workload.anti_affinity = model::AntiAffinity::zone;
    cluster.put("web-0", shared(workload), from, Claim::placed);
    Moves moves{cluster};
    CHECK(moves.best_target("web-0") == to);
    CHECK(cluster.members_on("web", from) == 1);
}
