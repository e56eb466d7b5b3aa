// RebalancePlan: a few moves from the fullest hosts to emptier ones. Each makes the fuller of both
// hosts less full by some margin, so that nothing moves to and fro.
#pragma once

#include <vector>

#include "controlplane/scheduler/drain_plan.h"

namespace shoal::scheduler {

struct RebalanceLimits {
    std::size_t moves = 8;     // in one plan, besides the limits of moves
    double tolerance = 0.2;    // how much fuller than the mean a host may be
    double least_gain = 0.05;  // in fullness, which is 1 for a host with no memory or no CPU left
};

// The moves are begun: room is held for them.
[[nodiscard]] std::vector<Move> plan_rebalance(const Cluster& cluster, Moves& moves,
                                               const Immovable& immovable,
                                               const RebalanceLimits& limits = {});

// The larger share of what is used of memory and CPUs, held room included; above 1: overdrawn.
[[nodiscard]] double fullness(const HostState& host);

}  // namespace shoal::scheduler
