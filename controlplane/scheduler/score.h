// Scores: which of the hosts that fit is the best one. Higher is better; thousandths of a
// thousandth.
#pragma once

#include <cstdint>

#include "controlplane/scheduler/cluster.h"

namespace shoal::scheduler {

// Bin-packing prefers the fullest host whose memory and CPUs are used up evenly; spreading the
// emptiest one with the fewest of the group. A host that has the image wins over one that is a
// fifth fuller or emptier, one that has its checkpoint over one that is so by half.
[[nodiscard]] std::int64_t score(const Cluster& cluster, HostIdx host, const Workload& workload);

}  // namespace shoal::scheduler
