// Sums by priority choose a few hosts; only on these each microVM is looked at.
#include "controlplane/scheduler/preemption.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <tuple>

#include "controlplane/scheduler/misfit.h"

namespace shoal::scheduler {

namespace {

constexpr std::size_t max_hosts_looked_into = 16;

struct Prospect {
    std::int32_t highest_priority;  // of those that would have to go, at least
    std::int64_t microvms;          // how many of up to that priority there are
    HostIdx host;

    [[nodiscard]] auto rank() const { return std::tuple{highest_priority, microvms, host}; }
};

std::optional<Prospect> look_at(const Cluster& cluster, HostIdx host, const Workload& workload) {
    if (misfit_whatever_room(cluster, host, workload)) {
        return std::nullopt;
    }
    const HostState& state = cluster.host(host);
    const Room wanted{workload.resources};
    Room room = state.free;
    room.give(state.leaving);
    if (room.holds(wanted)) {
        return Prospect{std::numeric_limits<std::int32_t>::min(), 0, host};
    }
    std::int64_t microvms = 0;
    for (const auto& [priority, sum] : state.by_priority) {
        if (priority >= workload.priority) {
            break;
        }
        room.give(sum);
        microvms += sum.microvms;
        if (room.holds(wanted)) {
            return Prospect{priority, microvms, host};
        }
    }
    return std::nullopt;
}

std::vector<const PlacedEntry*> victims_on(const HostState& host, const Workload& workload) {
    const Room wanted{workload.resources};
    Room room = host.free;
    room.give(host.leaving);
    std::vector<const PlacedEntry*> lower;
    std::ranges::copy_if(host.microvms, std::back_inserter(lower), [&](const PlacedEntry* entry) {
        return entry->second.claim == Claim::placed &&
               entry->second.workload->priority < workload.priority;
    });
    // The lowest first; of one priority the largest, so that few go.
    std::ranges::sort(lower, {}, [](const PlacedEntry* entry) {
        const Workload& its = *entry->second.workload;
        return std::tuple{its.priority, ~its.resources.memory_mib, ~its.resources.vcpu_millis,
                          std::string_view{entry->first}};
    });
    std::vector<const PlacedEntry*> victims;
    for (const PlacedEntry* entry : lower) {
        if (room.holds(wanted)) {
            break;
        }
        room.give(Room{entry->second.workload->resources});
        victims.push_back(entry);
    }
    // Whoever is not needed after all stays, the highest priority first.
    for (auto victim = victims.rbegin(); victim != victims.rend(); ++victim) {
        Room without = room;
        without.take(Room{(*victim)->second.workload->resources});
        if (without.holds(wanted)) {
            room = without;
            *victim = nullptr;
        }
    }
    std::erase(victims, nullptr);
    return victims;
}

}  // namespace

std::optional<Preemption> find_preemption(const Cluster& cluster, const Workload& workload) {
    std::vector<Prospect> prospects;
    for (HostIdx host = 0; host < cluster.host_count(); ++host) {
        if (const auto prospect = look_at(cluster, host, workload)) {
            prospects.push_back(*prospect);
        }
    }
    const auto count = std::min(prospects.size(), max_hosts_looked_into);
    std::ranges::partial_sort(prospects, prospects.begin() + static_cast<std::ptrdiff_t>(count), {},
                              &Prospect::rank);
    prospects.resize(count);
    std::optional<Preemption> best;
    std::pair<std::int32_t, std::size_t> least{};
    for (const Prospect& prospect : prospects) {
        const auto victims = victims_on(cluster.host(prospect.host), workload);
        const std::pair cost{prospect.highest_priority, victims.size()};
        if (!best || cost < least) {
            least = cost;
            best.emplace().host = prospect.host;
            for (const PlacedEntry* victim : victims) {
                best->victims.push_back(victim->first);
            }
        }
    }
    return best;
}

}  // namespace shoal::scheduler
