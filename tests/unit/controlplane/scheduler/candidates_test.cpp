#include "controlplane/scheduler/candidates.h"

#include <doctest/doctest.h>

#include <random>

#include "controlplane/scheduler/misfit.h"
#include "controlplane/scheduler/score.h"
#include "tests/unit/controlplane/scheduler/cluster_fixture.h"

using namespace shoal;
using namespace shoal::scheduler;
using namespace shoal::scheduler::test;

namespace {

// By looking at all of them.
std::optional<std::int64_t> best_score(const Cluster& cluster, const Workload& workload) {
    std::optional<std::int64_t> best;
    for (HostIdx host = 0; host < cluster.host_count(); ++host) {
        if (!misfit(cluster, host, workload)) {
            best = std::max(best.value_or(INT64_MIN), score(cluster, host, workload));
        }
    }
    return best;
}

// Against random changes of the cluster.
void compare_with_best_score(model::Spreading spreading, model::AntiAffinity apart) {
    Cluster cluster;
    for (int i = 0; i < 30; ++i) {
        add_host(cluster, make_host("h" + std::to_string(i), 2048, 16));
    }
    Workload wanted = make_workload(128, 1);
    wanted.group = "web";
    wanted.spreading = spreading;
    wanted.anti_affinity = apart;
    const auto workload = shared(wanted);
    Candidates candidates{cluster, workload, 1};
    std::mt19937 random{3};
    const auto below = [&](unsigned end) { return static_cast<std::uint32_t>(random() % end); };
    for (int step = 0; step < 3000; ++step) {
        const auto what = below(4);
        const std::string name = "vm" + std::to_string(below(300));
        if (what == 0) {
            const auto its = below(2) == 0 ? workload : shared(make_workload(1 + below(400)));
            cluster.put(name, its, below(30), Claim::placed);
        } else if (what == 1) {
            cluster.remove(name);
        } else if (what == 2) {
            cluster.set_liveness(below(30), below(4) == 0 ? Liveness::silent : Liveness::alive);
        } else {
            const auto host = candidates.best();
            const auto best = best_score(cluster, *workload);
            REQUIRE(host.has_value() == best.has_value());
            if (host) {
                REQUIRE_FALSE(misfit(cluster, *host, *workload));
                REQUIRE(score(cluster, *host, *workload) == *best);
            }
        }
    }
}

}  // namespace

TEST_CASE("the best candidate is the best of all hosts, whatever has changed meanwhile") {
    SUBCASE("bin-packing") {
        compare_with_best_score(model::Spreading::bin_pack, model::AntiAffinity::none);
    }
    SUBCASE("spreading") {
        compare_with_best_score(model::Spreading::spread, model::AntiAffinity::none);
    }
    SUBCASE("bin-packing, one for each host") {
        compare_with_best_score(model::Spreading::bin_pack, model::AntiAffinity::host);
    }
}

TEST_CASE("a group that spreads goes to the zone with the fewest of it") {
    Cluster cluster;
    add_host(cluster, make_host("h1", 1024, 8, "a"));
    const HostIdx other = add_host(cluster, make_host("h2", 512, 4, "b"));
    Workload wanted = make_workload();
    wanted.group = "web";
    wanted.spreading = model::Spreading::spread;
    const auto workload = shared(wanted);
    Candidates candidates{cluster, workload, 1};
    cluster.put("web-0", workload, *candidates.best(), Claim::placed);
    CHECK(cluster.find("web-0")->host != other);  // the larger one is the emptier one
    CHECK(candidates.best() == other);
}

TEST_CASE("a zone is free again for a group once its only member has left") {
    Cluster cluster;
    const HostIdx host = add_host(cluster, make_host("h1", 1024, 8, "a"));
    add_host(cluster, make_host("h2", 1024, 8, "a"));
    Workload wanted = make_workload();
    wanted.group = "web";
    wanted.anti_affinity = model::AntiAffinity::zone;
    const auto workload = shared(wanted);
    Candidates candidates{cluster, workload, 1};
    cluster.put("web-0", workload, host, Claim::placed);
    CHECK_FALSE(candidates.best());
    cluster.remove("web-0");
    CHECK(candidates.best());
}

TEST_CASE("the seed orders equal hosts, and always the same way") {
    Cluster cluster;
    for (int i = 0; i < 100; ++i) {
        add_host(cluster, make_host("h" + std::to_string(i)));
    }
    const auto workload = shared(make_workload());
    CHECK(Candidates{cluster, workload, 1}.best() == Candidates{cluster, workload, 1}.best());
    CHECK(Candidates{cluster, workload, 1}.best() != Candidates{cluster, workload, 2}.best());
}
