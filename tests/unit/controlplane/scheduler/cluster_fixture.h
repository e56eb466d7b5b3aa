// A cluster of plain hosts and workloads, for tests of the scheduler.
#pragma once

#include <optional>
#include <string>

#include "controlplane/scheduler/cluster.h"

namespace shoal::scheduler::test {

inline model::Host make_host(const std::string& name, std::uint64_t memory_mib = 1024,
                             std::uint64_t vcpus = 8, const std::string& zone = "a") {
    model::Host host;
    host.name = name;
    host.zone = zone;
    host.allocatable = {memory_mib, vcpus * 1000, 100};
    return host;
}

inline HostIdx add_host(Cluster& cluster, const model::Host& host) {
    const HostIdx index = cluster.put_host(host);
    cluster.set_liveness(index, Liveness::alive);
    return index;
}

inline Workload make_workload(std::uint64_t memory_mib = 128, std::uint64_t vcpus = 1) {
    Workload workload;
    workload.resources = {memory_mib, vcpus * 1000, 1};
    return workload;
}

// For plans of moves: no microVM has a reason to stay.
inline std::optional<std::string> all_can(const std::string&) {
    return std::nullopt;
}

inline WorkloadRef shared(Workload workload) {
    return std::make_shared<const Workload>(std::move(workload));
}

}  // namespace shoal::scheduler::test
