// Preemption: which microVMs of lower priority give way to one that fits nowhere.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controlplane/scheduler/cluster.h"

namespace shoal::scheduler {

struct Preemption {
    HostIdx host = 0;
    // Those that must be stopped; none, if enough is leaving anyway.
    std::vector<std::string> victims;
};

// Least disruption: the victims' highest priority is as low as it can be, then they are few. Only
// `Claim::placed` ones give way.
[[nodiscard]] std::optional<Preemption> find_preemption(const Cluster& cluster,
                                                        const Workload& workload);

}  // namespace shoal::scheduler
