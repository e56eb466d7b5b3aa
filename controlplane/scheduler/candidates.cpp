// A heap for each zone. Entries of hosts that have changed since stay until they come to the top.
#include "controlplane/scheduler/candidates.h"

#include <algorithm>

#include "controlplane/scheduler/misfit.h"
#include "controlplane/scheduler/score.h"

namespace shoal::scheduler {

namespace {

// SplitMix64's last step.
std::uint32_t tie_of(std::uint64_t seed, HostIdx host) {
    std::uint64_t x = seed + (host + 1ULL) * 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return static_cast<std::uint32_t>((x ^ (x >> 31)) >> 32);
}

}  // namespace

Candidates::Candidates(const Cluster& cluster, WorkloadRef workload, std::uint64_t seed)
    : cluster_{cluster}, workload_{std::move(workload)}, seed_{seed} {
    look_at_all();
}

void Candidates::look_at_all() {
    next_change_ = cluster_.change_count();
    by_zone_.assign(cluster_.zone_count(), {});
    looked_at_.assign(cluster_.host_count(), 0);
    entry_count_ = 0;
    for (HostIdx host = 0; host < cluster_.host_count(); ++host) {
        look_at(host);
    }
}

void Candidates::catch_up() {
    const auto changes = cluster_.changes_since(next_change_);
    if (!changes || changes->size() > cluster_.host_count() ||
        entry_count_ > 4 * std::size_t{cluster_.host_count()} + 1024) {
        return look_at_all();
    }
    by_zone_.resize(cluster_.zone_count());
    looked_at_.resize(cluster_.host_count(), 0);
    for (const HostIdx host : *changes) {
        if (looked_at_[host] != cluster_.host(host).version) {
            look_at(host);
        }
    }
    next_change_ = cluster_.change_count();
}

void Candidates::look_at(HostIdx host) {
    const HostState& state = cluster_.host(host);
    looked_at_[host] = state.version;
    const auto found = misfit(cluster_, host, *workload_);
    // A zone's members change without its hosts: best() looks at them.
    if (found && found != Misfit::group_in_zone) {
        return;
    }
    if (found && !state.free.holds(Room{workload_->resources})) {
        return;
    }
    Heap& heap = by_zone_[state.zone];
    heap.push_back({score(cluster_, host, *workload_), tie_of(seed_, host), host, state.version});
    std::ranges::push_heap(heap);
    ++entry_count_;
}

const Candidates::Entry* Candidates::top(Heap& heap) const {
    while (!heap.empty() && heap.front().version != cluster_.host(heap.front().host).version) {
        std::ranges::pop_heap(heap);
        heap.pop_back();
    }
    return heap.empty() ? nullptr : &heap.front();
}

bool Candidates::is_better(ZoneIdx zone, const Entry& entry, ZoneIdx best_zone,
                           const Entry& best) const {
    if (workload_->spreading == model::Spreading::spread && !workload_->group.empty()) {
        const auto here = cluster_.members_in(workload_->group, zone);
        const auto there = cluster_.members_in(workload_->group, best_zone);
        if (here != there) {
            return here < there;
        }
    }
    return entry > best;
}

std::optional<HostIdx> Candidates::best() {
    catch_up();
    const Entry* best = nullptr;
    ZoneIdx best_zone = 0;
    for (ZoneIdx zone = 0; zone < by_zone_.size(); ++zone) {
        const bool is_excluded = workload_->anti_affinity == model::AntiAffinity::zone &&
                                 cluster_.members_in(workload_->group, zone) > 0;
        const Entry* entry = is_excluded ? nullptr : top(by_zone_[zone]);
        if (entry != nullptr && (best == nullptr || is_better(zone, *entry, best_zone, *best))) {
            best = entry;
            best_zone = zone;
        }
    }
    return best == nullptr ? std::nullopt : std::optional{best->host};
}

// From a random host on; neighbours by index are no likelier to be alike than others.
std::optional<HostIdx> best_of_sample(const Cluster& cluster, const Workload& workload,
                                      Sample sample) {
    std::optional<std::pair<std::int64_t, HostIdx>> best;
    const HostIdx count = cluster.host_count();
    std::size_t found = 0;
    HostIdx host = count == 0 ? 0 : tie_of(sample.seed, 0) % count;
    for (HostIdx step = 0; step < count && found < sample.hosts; ++step) {
        if (!misfit(cluster, host, workload)) {
            ++found;
            const std::pair its{score(cluster, host, workload), host};
            best = best ? std::max(*best, its) : its;
        }
        host = host + 1 == count ? 0 : host + 1;
    }
    return best ? std::optional{best->second} : std::nullopt;
}

}  // namespace shoal::scheduler
