// DrainPlan: what leaves a host that drains, where to, in which order, and what cannot leave and
// why.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/scheduler/moves.h"

namespace shoal::scheduler {

struct Stays {
    std::string microvm;
    std::string reason;
};

struct DrainPlan {
    std::vector<Move> begun;   // now, within the limits; room is held for them
    std::size_t waiting = 0;   // for the limits
    std::size_t moving = 0;    // begun before
    std::vector<Stays> stays;  // nothing that this host does makes them leave

    [[nodiscard]] bool is_done() const noexcept {
        return begun.empty() && waiting == 0 && moving == 0 && stays.empty();
    }
};

// Why a microVM cannot be migrated at all ("its disk is a vhost-user socket"); nothing: it can.
using Immovable = std::function<std::optional<std::string>(const std::string& microvm)>;

// Asked again whenever a move has ended. The largest go first: they take longest and fit worst.
// What is told to stop is left to leave by itself.
[[nodiscard]] DrainPlan plan_drain(const Cluster& cluster, Moves& moves, HostIdx host,
                                   const Immovable& immovable);

}  // namespace shoal::scheduler
