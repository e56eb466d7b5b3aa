#include "controlplane/scheduler/cluster.h"

#include <doctest/doctest.h>

#include <limits>
#include <random>

#include "tests/unit/controlplane/scheduler/cluster_fixture.h"

using namespace shoal::scheduler;
using namespace shoal::scheduler::test;

TEST_CASE("what is placed is taken off its host's room, and given back") {
    Cluster cluster;
    const HostIdx host = add_host(cluster, make_host("h", 1024, 8));
    cluster.put("vm", shared(make_workload(128, 2)), host, Claim::placed);
    CHECK(cluster.host(host).free.memory_mib == 896);
    CHECK(cluster.host(host).free.vcpu_millis == 6000);
    CHECK(cluster.host(host).free.microvms == 99);
    cluster.remove("vm");
    CHECK(cluster.host(host).free.memory_mib == 1024);
    CHECK(cluster.host(host).by_priority.empty());
    CHECK(cluster.find("vm") == nullptr);
}

TEST_CASE("a microVM that is put again counts once") {
    Cluster cluster;
    const HostIdx first = add_host(cluster, make_host("h1"));
    const HostIdx second = add_host(cluster, make_host("h2"));
    cluster.put("vm", shared(make_workload(128)), first, Claim::placed);
    cluster.put("vm", shared(make_workload(256)), second, Claim::placed);
    CHECK(cluster.host(first).free.memory_mib == 1024);
    CHECK(cluster.host(second).free.memory_mib == 768);
    CHECK(cluster.microvm_count() == 1);
}

TEST_CASE("what leaves still takes its room, but nobody preempts it") {
    Cluster cluster;
    const HostIdx host = add_host(cluster, make_host("h"));
    const auto workload = shared(make_workload(128));
    cluster.put("vm", workload, host, Claim::placed);
    CHECK(cluster.host(host).by_priority.size() == 1);
    cluster.put("vm", workload, host, Claim::leaving);
    CHECK(cluster.host(host).free.memory_mib == 896);
    CHECK(cluster.host(host).leaving.memory_mib == 128);
    CHECK(cluster.host(host).by_priority.empty());
}

TEST_CASE("a host that shrinks is overdrawn until its microVMs leave") {
    Cluster cluster;
    const HostIdx host = add_host(cluster, make_host("h", 1024));
    cluster.put("vm", shared(make_workload(800)), host, Claim::placed);
    cluster.put_host(make_host("h", 512));
    CHECK(cluster.host(host).free.is_overdrawn());
    cluster.remove("vm");
    CHECK_FALSE(cluster.host(host).free.is_overdrawn());
}

TEST_CASE("members of a group are counted by host and by zone, also when a host moves") {
    Cluster cluster;
    const HostIdx a = add_host(cluster, make_host("h1", 1024, 8, "a"));
    const HostIdx b = add_host(cluster, make_host("h2", 1024, 8, "b"));
    Workload workload = make_workload();
    workload.group = "web";
    cluster.put("web-0", shared(workload), a, Claim::placed);
    cluster.put("web-1", shared(workload), a, Claim::held);
    CHECK(cluster.members_on("web", a) == 2);
    CHECK(cluster.members_in("web", cluster.host(a).zone) == 2);
    CHECK(cluster.members_on("web", b) == 0);
    cluster.put_host(make_host("h1", 1024, 8, "b"));
    CHECK(cluster.members_in("web", cluster.host(b).zone) == 2);
    cluster.remove("web-0");
    cluster.remove("web-1");
    CHECK(cluster.members_in("web", cluster.host(b).zone) == 0);
}

TEST_CASE("a host that claims the largest numbers does not wrap") {
    Cluster cluster;
    constexpr auto highest = std::numeric_limits<std::uint64_t>::max();
    shoal::model::Host huge = make_host("h");
    huge.allocatable = {highest, highest, highest};
    const HostIdx host = add_host(cluster, huge);
    cluster.put("vm", shared(make_workload(128)), host, Claim::placed);
    CHECK(cluster.host(host).free.memory_mib > 0);
    cluster.put_host(make_host("h"));
    CHECK(cluster.host(host).free.memory_mib == 896);
}

TEST_CASE("changes are told from a number on, and forgotten ones are said to be") {
    Cluster cluster;
    const HostIdx host = add_host(cluster, make_host("h"));
    const auto from = cluster.change_count();
    cluster.set_liveness(host, Liveness::alive);  // no change
    CHECK(cluster.changes_since(from)->empty());
    cluster.set_liveness(host, Liveness::silent);
    REQUIRE(cluster.changes_since(from)->size() == 1);
    CHECK(cluster.changes_since(from)->front() == host);
    for (int i = 0; i < 200'000; ++i) {
        cluster.put_host(make_host("h"));
    }
    CHECK_FALSE(cluster.changes_since(from));
    CHECK(cluster.changes_since(cluster.change_count())->empty());
}

TEST_CASE("after thousands of random steps the rooms are the sums of what is placed") {
    Cluster cluster;
    for (int i = 0; i < 10; ++i) {
        add_host(cluster, make_host("h" + std::to_string(i), 1 << 20, 1 << 10));
    }
    std::mt19937 random{7};
    const auto below = [&](unsigned end) { return static_cast<std::uint32_t>(random() % end); };
    for (int step = 0; step < 5000; ++step) {
        const std::string name = "vm" + std::to_string(below(200));
        if (below(3) == 0) {
            cluster.remove(name);
        } else {
            Workload workload = make_workload(1 + below(500), 1 + below(4));
            workload.priority = static_cast<int>(below(3));
            cluster.put(name, shared(workload), below(10), Claim{static_cast<int>(below(3))});
        }
    }
    std::size_t count = 0;
    for (HostIdx i = 0; i < 10; ++i) {
        const HostState& host = cluster.host(i);
        Room room = host.allocatable;
        Room preemptible;
        Room by_priority;
        for (std::uint32_t at = 0; at < host.microvms.size(); ++at) {
            const Placed& placed = host.microvms[at]->second;
            CHECK(placed.position == at);
            CHECK(placed.host == i);
            room.take(Room{placed.workload->resources});
            if (placed.claim == Claim::placed) {
                preemptible.give(Room{placed.workload->resources});
            }
        }
        for (const auto& sum : host.by_priority) {
            by_priority.give(sum.second);
        }
        CHECK(room.memory_mib == host.free.memory_mib);
        CHECK(room.microvms == host.free.microvms);
        CHECK(by_priority.memory_mib == preemptible.memory_mib);
        count += host.microvms.size();
    }
    CHECK(count == cluster.microvm_count());
}
