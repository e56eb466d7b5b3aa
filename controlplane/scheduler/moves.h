// Moves: live migrations that are under way, the room that is held for them, and how many there may
// be at one time.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <unordered_map>

#include "controlplane/scheduler/cluster.h"

namespace shoal::scheduler {

struct Move {
    std::string microvm;
    HostIdx from = 0;
    HostIdx to = 0;
};

// At one time.
struct MoveLimits {
    std::size_t out_of_host = 4;
    std::size_t into_host = 4;
    std::size_t in_cluster = 32;
};

class Moves {
public:
    // `cluster` outlives this.
    explicit Moves(Cluster& cluster, MoveLimits limits = {}) : cluster_{cluster}, limits_{limits} {}

    [[nodiscard]] bool may_leave(HostIdx host) const;
    [[nodiscard]] bool may_enter(HostIdx host) const;
    [[nodiscard]] bool is_moving(const std::string& microvm) const {
        return moves_.contains(microvm);
    }
    [[nodiscard]] std::size_t count() const noexcept { return moves_.size(); }

    // Where a microVM would best go: the host with the highest score of those that fit and may be
    // entered. Takes time in proportion to the hosts.
    [[nodiscard]] std::optional<HostIdx> best_target(const std::string& microvm);
    // The same, but the emptiest, whatever the workload prefers.
    [[nodiscard]] std::optional<HostIdx> emptiest_target(const std::string& microvm);
    // Why there is none: "3 hosts: 2 too little memory, 1 draining".
    [[nodiscard]] std::string why_no_target(const std::string& microvm);

    // Room is held at its target until the move ends; then the cluster is told by whoever moved it.
    void begin(const Move& move);
    void end(const std::string& microvm);

private:
    // Does something as if the microVM were nowhere: its own group does not keep it out.
    template <typename Value>
    std::optional<HostIdx> target(const std::string& microvm, Value value);
    template <typename Action>
    auto without(const std::string& microvm, Action action);

    Cluster& cluster_;
    MoveLimits limits_;
    std::unordered_map<std::string, Move> moves_;
    std::unordered_map<HostIdx, std::size_t> leaving_;
    std::unordered_map<HostIdx, std::size_t> entering_;
};

}  // namespace shoal::scheduler
