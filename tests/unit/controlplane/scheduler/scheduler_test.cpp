#include "controlplane/scheduler/scheduler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/unit/controlplane/scheduler/cluster_fixture.h"

using namespace shoal;
using namespace shoal::scheduler;
using namespace shoal::scheduler::test;

namespace {

std::vector<Request> many(const std::string& prefix, int count, const WorkloadRef& workload) {
    std::vector<Request> batch;
    for (int i = 0; i < count; ++i) {
        batch.push_back({prefix + std::to_string(i), workload});
    }
    return batch;
}

std::map<std::string, HostIdx> hosts_of(const Decision& decision) {
    std::map<std::string, HostIdx> hosts;
    for (const Binding& binding : decision.bindings) {
        hosts[binding.microvm] = binding.host;
    }
    return hosts;
}

WorkloadRef with_priority(std::uint64_t memory_mib, std::int32_t priority) {
    Workload workload = make_workload(memory_mib, 0);
    workload.priority = priority;
    return shared(workload);
}

}  // namespace

TEST_CASE("a batch of 1,000 is placed in one decision, within every host's room") {
    Cluster cluster;
    for (int i = 0; i < 125; ++i) {
        add_host(cluster, make_host("h" + std::to_string(i), 1024, 8));
    }
    Scheduler scheduler{cluster};
    const auto decision = scheduler.decide(many("vm", 1001, shared(make_workload(128, 1))));
    CHECK(decision.bindings.size() == 1000);
    REQUIRE(decision.unplaced.size() == 1);
    CHECK(decision.unplaced[0].reason == "125 hosts: 125 too little memory");
    for (HostIdx host = 0; host < cluster.host_count(); ++host) {
        CHECK_FALSE(cluster.host(host).free.is_overdrawn());
    }
}

TEST_CASE("the same cluster, batch and seed give the same decision") {
    const auto decide = [](std::uint64_t seed) {
        Cluster cluster;
        for (int i = 0; i < 50; ++i) {
            add_host(cluster, make_host("h" + std::to_string(i)));
        }
        Scheduler scheduler{cluster, seed};
        return hosts_of(scheduler.decide(many("vm", 100, shared(make_workload()))));
    };
    CHECK(decide(1) == decide(1));
    CHECK(decide(1) != decide(2));
}

TEST_CASE("members of a group are kept apart by hosts and by zones") {
    Cluster cluster;
    for (int i = 0; i < 9; ++i) {
        add_host(cluster, make_host("h" + std::to_string(i), 1024, 8, std::to_string(i % 3)));
    }
    Workload workload = make_workload();
    workload.group = "web";
    Scheduler scheduler{cluster};
    SUBCASE("hosts") {
        workload.anti_affinity = model::AntiAffinity::host;
        const auto decision = scheduler.decide(many("web-", 10, shared(workload)));
        std::set<HostIdx> hosts;
        for (const Binding& binding : decision.bindings) {
            hosts.insert(binding.host);
        }
        CHECK(hosts.size() == 9);
        REQUIRE(decision.unplaced.size() == 1);
        CHECK(decision.unplaced[0].reason == "9 hosts: 9 with one of the group");
    }
    SUBCASE("zones") {
        workload.anti_affinity = model::AntiAffinity::zone;
        const auto decision = scheduler.decide(many("web-", 4, shared(workload)));
        CHECK(decision.bindings.size() == 3);
        REQUIRE(decision.unplaced.size() == 1);
        CHECK(decision.unplaced[0].reason == "9 hosts: 9 in a zone with one of the group");
    }
}

TEST_CASE("higher priorities are placed first, then those that have waited for long") {
    Cluster cluster;
    add_host(cluster, make_host("h", 1024));
    Scheduler scheduler{cluster};
    Request waited{"waited", with_priority(512, 0)};
    waited.wait = Request::Wait::long_already;
    const auto decision = scheduler.decide(
        {{"ordinary", with_priority(512, 0)}, waited, {"urgent", with_priority(512, 1)}});
    CHECK(hosts_of(decision).size() == 2);
    REQUIRE(decision.unplaced.size() == 1);
    CHECK(decision.unplaced[0].microvm == "ordinary");
}

TEST_CASE("one of a kind in a large cluster is placed on a host that fits, wherever that is") {
    Cluster cluster;
    for (int i = 0; i < 2000; ++i) {
        add_host(cluster, make_host("h" + std::to_string(i), 64));
    }
    const HostIdx only = add_host(cluster, make_host("large", 1024));
    Scheduler scheduler{cluster};
    const auto decision = scheduler.decide({{"vm", shared(make_workload(128))}});
    CHECK(hosts_of(decision) == std::map<std::string, HostIdx>{{"vm", only}});
    CHECK(scheduler.decide({{"other", shared(make_workload(1000))}}).unplaced[0].reason ==
          "2001 hosts: 2001 too little memory");
}

TEST_CASE("one that pushes others out waits for its room, which nobody else gets") {
    Cluster cluster;
    const HostIdx host = add_host(cluster, make_host("h", 1024));
    Scheduler scheduler{cluster};
    const auto low = with_priority(512, 0);
    REQUIRE(scheduler.decide({{"low-0", low}, {"low-1", low}}).bindings.size() == 2);

    const Request urgent{"urgent", with_priority(1024, 5)};
    auto decision = scheduler.decide({urgent});
    REQUIRE(decision.evictions.size() == 1);
    CHECK(decision.evictions[0].preemption.victims.size() == 2);
    REQUIRE(decision.unplaced.size() == 1);
    CHECK(decision.unplaced[0].reason == "1 host: 1 too little memory; room is held on h");

    cluster.remove("low-0");  // it has stopped
    decision = scheduler.decide({{"low-2", low}, urgent});
    CHECK(decision.bindings.empty());
    CHECK(decision.evictions.empty());

    cluster.remove("low-1");
    decision = scheduler.decide({{"low-2", low}, urgent});
    CHECK(hosts_of(decision) == std::map<std::string, HostIdx>{{"urgent", host}});
    CHECK_FALSE(cluster.host(host).free.is_overdrawn());
}

TEST_CASE("room that is held is given back when nobody wants it, or its host falls silent") {
    Cluster cluster;
    const HostIdx host = add_host(cluster, make_host("h", 1024));
    Scheduler scheduler{cluster};
    REQUIRE(scheduler.decide({{"low", with_priority(1024, 0)}}).bindings.size() == 1);
    const Request urgent{"urgent", with_priority(512, 5)};
    REQUIRE(scheduler.decide({urgent}).evictions.size() == 1);
    SUBCASE("not wanted") {
        scheduler.forget("urgent");
    }
    SUBCASE("silent") {
        cluster.set_liveness(host, Liveness::silent);
        CHECK(scheduler.decide({urgent}).unplaced[0].reason == "1 host: 1 silent");
    }
    CHECK(cluster.find("urgent") == nullptr);
    CHECK(cluster.host(host).free.memory_mib == 0);
}

TEST_CASE("a large one that has waited for long is not passed by small ones for ever") {
    Cluster cluster;
    const HostIdx host = add_host(cluster, make_host("h", 1024));
    Scheduler scheduler{cluster};
    const auto small = with_priority(512, 0);
    REQUIRE(scheduler.decide({{"s0", small}, {"s1", small}}).bindings.size() == 2);
    Request large{"large", with_priority(1024, 0)};
    large.wait = Request::Wait::long_already;
    CHECK(scheduler.decide({large}).evictions.empty());
    cluster.remove("s0");
    CHECK(scheduler.decide({{"s2", small}, large}).bindings.empty());
    cluster.remove("s1");
    CHECK(hosts_of(scheduler.decide({{"s2", small}, large})) ==
          std::map<std::string, HostIdx>{{"large", host}});
}

TEST_CASE("no more room is held for long waits than the limit says") {
    Cluster cluster;
    for (int i = 0; i < 4; ++i) {
        const HostIdx host = add_host(cluster, make_host("h" + std::to_string(i), 1024));
        cluster.put("s" + std::to_string(i), with_priority(512, 0), host, Claim::placed);
    }
    Scheduler scheduler{cluster, 0, {.holds_for_long_waits = 2}};
    std::vector<Request> batch;
    for (int i = 0; i < 4; ++i) {
        batch.push_back({"l" + std::to_string(i), with_priority(1024, 0)});
        batch.back().wait = Request::Wait::long_already;
    }
    (void)scheduler.decide(batch);
    (void)scheduler.decide(batch);
    const auto held = std::ranges::count_if(
        batch, [&](const Request& request) { return cluster.find(request.microvm) != nullptr; });
    CHECK(held == 2);
}

TEST_CASE("more workloads than are remembered are placed all the same") {
    Cluster cluster;
    for (int i = 0; i < 10; ++i) {
        add_host(cluster, make_host("h" + std::to_string(i), 1 << 20, 1000));
    }
    Scheduler scheduler{cluster, 0, {.remembered_workloads = 4}};
    std::vector<Request> batch;
    for (unsigned i = 0; i < 100; ++i) {
        batch.push_back({"vm" + std::to_string(i), shared(make_workload(100 + i))});
    }
    CHECK(scheduler.decide(batch).bindings.size() == 100);
}
