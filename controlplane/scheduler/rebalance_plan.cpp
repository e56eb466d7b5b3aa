// The fullest host first; from it the microVM that brings it nearest to the mean.
#include "controlplane/scheduler/rebalance_plan.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace shoal::scheduler {

namespace {

double share(std::int64_t allocatable, std::int64_t free) {
    return allocatable <= 0 ? 0.0
                            : 1.0 - static_cast<double>(free) / static_cast<double>(allocatable);
}

double share_of(const HostState& host, const model::Resources& resources) {
    const Room room{resources};
    const double memory =
        share(host.allocatable.memory_mib, host.allocatable.memory_mib - room.memory_mib);
    const double vcpus =
        share(host.allocatable.vcpu_millis, host.allocatable.vcpu_millis - room.vcpu_millis);
    return std::max(memory, vcpus);
}

bool is_counted(const HostState& host) {
    return host.is_known && host.liveness == Liveness::alive &&
           host.facts.scheduling != model::Scheduling::draining;
}

double mean_fullness(const Cluster& cluster) {
    double sum = 0;
    std::size_t count = 0;
    for (HostIdx host = 0; host < cluster.host_count(); ++host) {
        if (is_counted(cluster.host(host))) {
            sum += fullness(cluster.host(host));
            ++count;
        }
    }
    return count == 0 ? 0 : sum / static_cast<double>(count);
}

// Whose share is nearest to what the host has too much of.
std::vector<std::string> by_fit(const HostState& host, const Moves& moves, double excess) {
    std::vector<std::pair<double, std::string>> found;
    for (const PlacedEntry* entry : host.microvms) {
        if (entry->second.claim == Claim::placed && !moves.is_moving(entry->first)) {
            const double its = share_of(host, entry->second.workload->resources);
            found.emplace_back(std::abs(its - excess), entry->first);
        }
    }
    std::ranges::sort(found);
    std::vector<std::string> names;
    names.reserve(found.size());
    for (auto& [distance, name] : found) {
        names.push_back(std::move(name));
    }
    return names;
}

// One move away from `host`; nothing, if none gains enough.
std::optional<Move> relieve(const Cluster& cluster, Moves& moves, HostIdx from, double excess,
                            const Immovable& immovable, const RebalanceLimits& limits) {
    constexpr std::size_t most_tried = 8;  // each takes time in proportion to the hosts
    const HostState& host = cluster.host(from);
    std::size_t tried = 0;
    for (const std::string& microvm : by_fit(host, moves, excess)) {
        if (++tried > most_tried) {
            break;
        }
        if (immovable(microvm)) {
            continue;
        }
        const auto to = moves.emptiest_target(microvm);
        if (!to) {
            continue;
        }
        const HostState& target = cluster.host(*to);
        const model::Resources& resources = cluster.find(microvm)->workload->resources;
        const double after = fullness(target) + share_of(target, resources);
        if (after <= fullness(host) - limits.least_gain) {
            return Move{microvm, from, *to};
        }
    }
    return std::nullopt;
}

}  // namespace

double fullness(const HostState& host) {
    return std::max(share(host.allocatable.memory_mib, host.free.memory_mib),
                    share(host.allocatable.vcpu_millis, host.free.vcpu_millis));
}

std::vector<Move> plan_rebalance(const Cluster& cluster, Moves& moves, const Immovable& immovable,
                                 const RebalanceLimits& limits) {
    const double mean = mean_fullness(cluster);
    std::vector<std::pair<double, HostIdx>> full;
    for (HostIdx host = 0; host < cluster.host_count(); ++host) {
        const double its = fullness(cluster.host(host));
        if (is_counted(cluster.host(host)) && its > std::min(mean + limits.tolerance, 1.0)) {
            full.emplace_back(-its, host);
        }
    }
    std::ranges::sort(full);
    std::vector<Move> plan;
    for (const auto& [negative, host] : full) {
        double excess = -negative - mean;
        while (plan.size() < limits.moves && moves.may_leave(host) &&
               excess > limits.tolerance / 2) {
            const auto move = relieve(cluster, moves, host, excess, immovable, limits);
            if (!move) {
                break;
            }
            excess -=
                share_of(cluster.host(host), cluster.find(move->microvm)->workload->resources);
            moves.begin(*move);
            plan.push_back(*move);
        }
    }
    return plan;
}

}  // namespace shoal::scheduler
