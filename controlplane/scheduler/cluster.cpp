// Accounting of rooms, groups and changes.
#include "controlplane/scheduler/cluster.h"

#include <algorithm>
#include <limits>

namespace shoal::scheduler {

namespace {

// More than the hosts of any cluster changes between two decisions is not worth remembering.
constexpr std::size_t max_changes = std::size_t{1} << 17;

std::int64_t clamp(std::uint64_t value) noexcept {
    // Halved, so that sums of what fits do not wrap.
    constexpr auto highest = std::numeric_limits<std::int64_t>::max() / 2;
    return value > static_cast<std::uint64_t>(highest) ? highest : static_cast<std::int64_t>(value);
}

}  // namespace

Room::Room(const model::Resources& resources) noexcept
    : memory_mib{clamp(resources.memory_mib)},
      vcpu_millis{clamp(resources.vcpu_millis)},
      microvms{clamp(resources.microvms)} {}

void Room::give(const Room& other) noexcept {
    memory_mib += other.memory_mib;
    vcpu_millis += other.vcpu_millis;
    microvms += other.microvms;
}

void Room::take(const Room& other) noexcept {
    memory_mib -= other.memory_mib;
    vcpu_millis -= other.vcpu_millis;
    microvms -= other.microvms;
}

bool Room::holds(const Room& other) const noexcept {
    return memory_mib >= other.memory_mib && vcpu_millis >= other.vcpu_millis &&
           microvms >= other.microvms;
}

bool Room::is_overdrawn() const noexcept {
    return memory_mib < 0 || vcpu_millis < 0 || microvms < 0;
}

ZoneIdx Cluster::zone_of(const std::string& name) {
    return zones_.try_emplace(name, zone_count()).first->second;
}

HostIdx Cluster::put_host(const model::Host& host) {
    const auto [found, is_new] = by_name_.try_emplace(host.name, host_count());
    if (is_new) {
        hosts_.emplace_back();
    }
    const HostIdx index = found->second;
    HostState& state = hosts_[index];
    move_zone(state, index, zone_of(host.zone));
    const Room allocatable{host.allocatable};
    state.free.give(allocatable);
    state.free.take(state.allocatable);
    state.allocatable = allocatable;
    state.facts = host;
    state.is_known = true;
    changed(index);
    return index;
}

void Cluster::move_zone(HostState& state, HostIdx host, ZoneIdx zone) {
    for (const PlacedEntry* entry : state.microvms) {
        count_member(entry->second, Direction::subtract);
    }
    state.zone = zone;
    for (const PlacedEntry* entry : state.microvms) {
        count_member(entry->second, Direction::add);
    }
    changed(host);
}

void Cluster::remove_host(HostIdx host) {
    hosts_[host].is_known = false;
    hosts_[host].liveness = Liveness::silent;
    changed(host);
}

void Cluster::set_liveness(HostIdx host, Liveness liveness) {
    if (hosts_[host].liveness != liveness) {
        hosts_[host].liveness = liveness;
        changed(host);
    }
}

void Cluster::set_images(HostIdx host, std::set<std::string> images) {
    hosts_[host].images = std::move(images);
    changed(host);
}

std::optional<HostIdx> Cluster::find_host(std::string_view name) const {
    const auto found = by_name_.find(std::string{name});
    return found == by_name_.end() ? std::nullopt : std::optional{found->second};
}

void Cluster::put(const std::string& microvm, WorkloadRef workload, HostIdx host, Claim claim) {
    const auto [found, is_new] = microvms_.try_emplace(microvm);
    Placed& placed = found->second;
    if (!is_new && placed.host == host && placed.workload == workload) {
        account(placed, Direction::subtract);
        placed.claim = claim;
        account(placed, Direction::add);
        return;
    }
    if (!is_new) {
        remove(microvm);
        return put(microvm, std::move(workload), host, claim);
    }
    HostState& state = hosts_[host];
    placed = {std::move(workload), host, claim, static_cast<std::uint32_t>(state.microvms.size())};
    state.microvms.push_back(&*found);
    count_member(placed, Direction::add);
    account(placed, Direction::add);
}

void Cluster::remove(const std::string& microvm) {
    const auto found = microvms_.find(microvm);
    if (found == microvms_.end()) {
        return;
    }
    const Placed& placed = found->second;
    HostState& state = hosts_[placed.host];
    account(placed, Direction::subtract);
    count_member(placed, Direction::subtract);
    // The last of the list takes its place.
    state.microvms[placed.position] = state.microvms.back();
    microvms_.find(state.microvms.back()->first)->second.position = placed.position;
    state.microvms.pop_back();
    microvms_.erase(found);
}

const Placed* Cluster::find(const std::string& microvm) const {
    const auto found = microvms_.find(microvm);
    return found == microvms_.end() ? nullptr : &found->second;
}

void Cluster::account(const Placed& placed, Direction direction) {
    HostState& state = hosts_[placed.host];
    const Room room{placed.workload->resources};
    const bool adds = direction == Direction::add;
    adds ? state.free.take(room) : state.free.give(room);
    if (placed.claim == Claim::leaving) {
        adds ? state.leaving.give(room) : state.leaving.take(room);
    }
    if (placed.claim == Claim::placed) {
        const auto priority = placed.workload->priority;
        auto sum = std::ranges::lower_bound(state.by_priority, priority, {},
                                            &std::pair<std::int32_t, Room>::first);
        if (sum == state.by_priority.end() || sum->first != priority) {
            sum = state.by_priority.insert(sum, {priority, Room{}});
        }
        adds ? sum->second.give(room) : sum->second.take(room);
        if (sum->second.microvms == 0) {
            state.by_priority.erase(sum);
        }
    }
    changed(placed.host);
}

void Cluster::count_member(const Placed& placed, Direction direction) {
    const std::string& group = placed.workload->group;
    if (group.empty()) {
        return;
    }
    Members& members = groups_[group];
    const auto step = [direction](auto& counts, auto key) {
        if (direction == Direction::add) {
            ++counts[key];
        } else if (--counts[key] == 0) {
            counts.erase(key);
        }
    };
    step(members.on_host, placed.host);
    step(members.in_zone, hosts_[placed.host].zone);
    if (members.on_host.empty()) {
        groups_.erase(group);
    }
}

std::uint32_t Cluster::members_on(const std::string& group, HostIdx host) const {
    const auto members = groups_.find(group);
    if (members == groups_.end()) {
        return 0;
    }
    const auto found = members->second.on_host.find(host);
    return found == members->second.on_host.end() ? 0 : found->second;
}

std::uint32_t Cluster::members_in(const std::string& group, ZoneIdx zone) const {
    const auto members = groups_.find(group);
    if (members == groups_.end()) {
        return 0;
    }
    const auto found = members->second.in_zone.find(zone);
    return found == members->second.in_zone.end() ? 0 : found->second;
}

void Cluster::changed(HostIdx host) {
    ++hosts_[host].version;
    if (changed_.size() >= max_changes) {
        first_ += changed_.size();
        changed_.clear();
    }
    changed_.push_back(host);
}

std::optional<std::span<const HostIdx>> Cluster::changes_since(std::uint64_t from) const {
    if (from < first_) {
        return std::nullopt;
    }
    return std::span{changed_}.subspan(from - first_);
}

}  // namespace shoal::scheduler
