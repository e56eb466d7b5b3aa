// One look at everything on the host.
#include "controlplane/scheduler/drain_plan.h"

#include <algorithm>
#include <string_view>
#include <tuple>

namespace shoal::scheduler {

namespace {

std::vector<std::string> largest_first(const HostState& host) {
    std::vector<const PlacedEntry*> entries;
    std::ranges::copy_if(host.microvms, std::back_inserter(entries), [](const PlacedEntry* entry) {
        return entry->second.claim == Claim::placed;
    });
    std::ranges::sort(entries, {}, [](const PlacedEntry* entry) {
        const Workload& workload = *entry->second.workload;
        return std::tuple{~workload.resources.memory_mib, ~workload.resources.vcpu_millis,
                          std::string_view{entry->first}};
    });
    std::vector<std::string> names;
    names.reserve(entries.size());
    for (const PlacedEntry* entry : entries) {
        names.push_back(entry->first);
    }
    return names;
}

}  // namespace

DrainPlan plan_drain(const Cluster& cluster, Moves& moves, HostIdx host,
                     const Immovable& immovable) {
    DrainPlan plan;
    for (const std::string& microvm : largest_first(cluster.host(host))) {
        if (moves.is_moving(microvm)) {
            ++plan.moving;
            continue;
        }
        if (auto reason = immovable(microvm)) {
            plan.stays.push_back({microvm, std::move(*reason)});
            continue;
        }
        const bool may_leave = moves.may_leave(host);
        std::optional<HostIdx> to;
        if (may_leave) {
            to = moves.best_target(microvm);
        }
        if (to) {
            plan.begun.push_back({microvm, host, *to});
            moves.begin(plan.begun.back());
        } else if (!may_leave || moves.count() > 0) {
            ++plan.waiting;  // Moves that end make room, or leave a host that may be entered.
        } else {
            plan.stays.push_back({microvm, moves.why_no_target(microvm)});
        }
    }
    return plan;
}

}  // namespace shoal::scheduler
