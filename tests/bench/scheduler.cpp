// Decisions of the scheduler, timed: one JSON object {"NAME": VALUE, ...} for `scheduler.py`.
#include "controlplane/scheduler/scheduler.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <random>

using namespace shoal;
using namespace shoal::scheduler;

namespace {

constexpr std::uint64_t host_memory_mib = 256 << 10;
constexpr std::uint64_t host_vcpus = 256;
constexpr std::size_t batch_size = 1000;

// The CPU time of this process: others on the machine do not matter.
std::chrono::duration<double> cpu_time() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

void add_hosts(Cluster& cluster, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        model::Host host;
        host.name = "h" + std::to_string(i);
        host.zone = "z" + std::to_string(i % 3);
        host.allocatable = {host_memory_mib, host_vcpus * 1000, 4096};
        cluster.set_liveness(cluster.put_host(host), Liveness::alive);
    }
}

// `kinds` sizes, from 128 MiB to 8 GiB and 1 to 8 CPUs.
std::vector<WorkloadRef> make_workloads(std::size_t kinds, std::mt19937& random) {
    std::vector<WorkloadRef> workloads;
    for (std::size_t i = 0; i < kinds; ++i) {
        Workload workload;
        workload.resources = {128 * (1 + random() % 64), 1000 * (1 + random() % 8), 1};
        workload.group = "g" + std::to_string(i);
        workloads.push_back(std::make_shared<const Workload>(workload));
    }
    return workloads;
}

void report(const std::string& name, double value) {
    static bool is_first = true;
    std::printf("%s\"%s\": %.6g", is_first ? "{" : ", ", name.c_str(), value);
    is_first = false;
}

// Batches into a cluster that is kept at about half full: what is placed leaves some batches later.
void measure_speed(std::size_t hosts, std::size_t kinds, const std::string& what) {
    std::mt19937 random{1};
    Cluster cluster;
    add_hosts(cluster, hosts);
    const auto workloads = make_workloads(kinds, random);
    Scheduler scheduler{cluster, 1};
    std::vector<std::string> placed;
    std::size_t next = 0;
    std::size_t done = 0;
    std::chrono::duration<double> spent{};
    std::chrono::duration<double> slowest{};
    const std::size_t size = std::min(batch_size, 10 * hosts);
    for (int turn = 0; turn < 40 && spent.count() < 5; ++turn) {
        std::vector<Request> batch;
        for (std::size_t i = 0; i < size; ++i) {
            batch.push_back({"vm" + std::to_string(++next), workloads[random() % kinds]});
        }
        const auto begin = cpu_time();
        const auto decision = scheduler.decide(std::move(batch));
        const std::chrono::duration<double> took = cpu_time() - begin;
        spent += took;
        slowest = std::max(slowest, took);
        done += decision.bindings.size();
        for (const Binding& binding : decision.bindings) {
            placed.push_back(binding.microvm);
        }
        while (placed.size() > 15 * hosts) {
            std::swap(placed[random() % placed.size()], placed.back());
            cluster.remove(placed.back());
            placed.pop_back();
        }
    }
    const std::string at = what + ", " + std::to_string(hosts) + " hosts";
    report("placements per second, " + at, static_cast<double>(done) / spent.count());
    report("slowest decision in ms, " + at, slowest.count() * 1e3);
}

// Fills hosts in batches; how many the least number of hosts is of those that were used.
void measure_density(std::size_t kinds, std::size_t hosts) {
    std::mt19937 random{2};
    Cluster cluster;
    add_hosts(cluster, hosts);
    const auto workloads = make_workloads(kinds, random);
    Scheduler scheduler{cluster, 1};
    Room sum;
    std::size_t next = 0;
    while (sum.memory_mib < static_cast<std::int64_t>(hosts * host_memory_mib / 2)) {
        std::vector<Request> batch;
        for (std::size_t i = 0; i < batch_size; ++i) {
            batch.push_back({"vm" + std::to_string(++next), workloads[random() % kinds]});
            sum.give(Room{batch.back().workload->resources});
        }
        if (!scheduler.decide(std::move(batch)).unplaced.empty()) {
            return;  // no figure
        }
    }
    std::size_t used = 0;
    for (HostIdx host = 0; host < cluster.host_count(); ++host) {
        used += cluster.host(host).microvms.empty() ? 0U : 1U;
    }
    const double least =
        std::max(static_cast<double>(sum.memory_mib) / static_cast<double>(host_memory_mib),
                 static_cast<double>(sum.vcpu_millis) / static_cast<double>(host_vcpus * 1000));
    report("packing density, " + std::to_string(kinds) + " sizes",
           least / static_cast<double>(used));
}

// Each microVM of a batch pushes another one out.
void measure_preemption(std::size_t hosts) {
    Cluster cluster;
    add_hosts(cluster, hosts);
    Workload low;
    low.resources = {host_memory_mib / 64, 1000, 1};
    Workload high = low;
    high.priority = 1;
    const auto shared_low = std::make_shared<const Workload>(low);
    const auto shared_high = std::make_shared<const Workload>(high);
    for (std::size_t i = 0; i < 64 * hosts; ++i) {
        cluster.put("low" + std::to_string(i), shared_low, static_cast<HostIdx>(i % hosts),
                    Claim::placed);
    }
    Scheduler scheduler{cluster, 1};
    std::vector<Request> batch;
    for (std::size_t i = 0; i < 16; ++i) {
        batch.push_back({"high" + std::to_string(i), shared_high});
    }
    const auto begin = cpu_time();
    const auto decision = scheduler.decide(std::move(batch));
    const std::chrono::duration<double> took = cpu_time() - begin;
    report("preemptions per second, " + std::to_string(hosts) + " hosts",
           static_cast<double>(decision.evictions.size()) / took.count());
}

}  // namespace

int main() {
    for (const std::size_t hosts : {10U, 100U, 1000U, 10'000U}) {
        measure_speed(hosts, 1, "1 workload");
        measure_speed(hosts, 50, "50 workloads");
    }
    measure_speed(10'000, 100'000, "each another workload");
    measure_preemption(10'000);
    measure_density(50, 200);
    measure_density(1000, 200);
    std::printf("}\n");
}
