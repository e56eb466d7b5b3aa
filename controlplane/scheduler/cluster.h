// Cluster: what the scheduler knows of all hosts and of what is placed on them. In memory, no I/O.
//
// Not thread-safe. Hosts keep their index for as long as the cluster lives.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/model/host.h"
#include "controlplane/scheduler/workload.h"

namespace shoal::scheduler {

using HostIdx = std::uint32_t;
using ZoneIdx = std::uint32_t;

// What is left of a host. Below 0 where more is promised than there is: it shrank, or room is held
// for a microVM that waits for others to leave.
struct Room {
    std::int64_t memory_mib = 0;
    std::int64_t vcpu_millis = 0;
    std::int64_t microvms = 0;

    explicit Room(const model::Resources& resources = {}) noexcept;
    void give(const Room& other) noexcept;
    void take(const Room& other) noexcept;
    [[nodiscard]] bool holds(const Room& other) const noexcept;
    [[nodiscard]] bool is_overdrawn() const noexcept;
};

enum class Claim {
    placed,
    leaving,  // told to stop: still there, soon gone
    held,     // not there yet: room kept for it
};

enum class Liveness { alive, silent };

struct Placed {
    WorkloadRef workload;
    HostIdx host = 0;
    Claim claim = Claim::placed;
    std::uint32_t position = 0;  // in the host's list
};

using PlacedEntry = std::pair<const std::string, Placed>;

struct HostState {
    model::Host facts;
    ZoneIdx zone = 0;
    Liveness liveness = Liveness::silent;
    bool is_known = true;  // false: removed from the cluster
    std::set<std::string> images;
    Room allocatable;
    Room free;     // allocatable less all claims
    Room leaving;  // what leaves
    // What is placed, by priority, lowest first.
    std::vector<std::pair<std::int32_t, Room>> by_priority;
    std::vector<const PlacedEntry*> microvms;
    std::uint32_t version = 0;  // grows with each change
};

class Cluster {
public:
    // A new host is silent until it is said to be alive.
    HostIdx put_host(const model::Host& host);
    void remove_host(HostIdx host);
    void set_liveness(HostIdx host, Liveness liveness);
    void set_images(HostIdx host, std::set<std::string> images);
    [[nodiscard]] std::optional<HostIdx> find_host(std::string_view name) const;
    [[nodiscard]] const HostState& host(HostIdx host) const { return hosts_[host]; }
    [[nodiscard]] HostIdx host_count() const { return static_cast<HostIdx>(hosts_.size()); }
    [[nodiscard]] ZoneIdx zone_count() const { return static_cast<ZoneIdx>(zones_.size()); }

    // Replaces what was claimed under this name.
    void put(const std::string& microvm, WorkloadRef workload, HostIdx host, Claim claim);
    void remove(const std::string& microvm);
    // Nothing, where it has no claim. Valid until it is put again or removed.
    [[nodiscard]] const Placed* find(const std::string& microvm) const;
    [[nodiscard]] std::size_t microvm_count() const noexcept { return microvms_.size(); }

    // How many of a group are placed, or will be.
    [[nodiscard]] std::uint32_t members_on(const std::string& group, HostIdx host) const;
    [[nodiscard]] std::uint32_t members_in(const std::string& group, ZoneIdx zone) const;

    // Hosts that changed, oldest first: number `from` and later; nothing, if forgotten.
    [[nodiscard]] std::optional<std::span<const HostIdx>> changes_since(std::uint64_t from) const;
    [[nodiscard]] std::uint64_t change_count() const noexcept { return first_ + changed_.size(); }

private:
    struct Members {
        std::unordered_map<HostIdx, std::uint32_t> on_host;
        std::unordered_map<ZoneIdx, std::uint32_t> in_zone;
    };
    enum class Direction { add, subtract };

    ZoneIdx zone_of(const std::string& name);
    void account(const Placed& placed, Direction direction);
    void count_member(const Placed& placed, Direction direction);
    void changed(HostIdx host);
    void move_zone(HostState& state, HostIdx host, ZoneIdx zone);

    std::vector<HostState> hosts_;
    std::unordered_map<std::string, HostIdx> by_name_;
    std::unordered_map<std::string, ZoneIdx> zones_;
    std::unordered_map<std::string, Placed> microvms_;
    std::unordered_map<std::string, Members> groups_;
    std::vector<HostIdx> changed_;
    std::uint64_t first_ = 0;  // the number of changed_'s first
};

}  // namespace shoal::scheduler
