// Filters: why a workload cannot be placed on a host, and how that is said to people.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>

#include "controlplane/scheduler/cluster.h"

namespace shoal::scheduler {

// In the order in which they are looked for: what no departure would change comes first.
enum class Misfit {
    silent,
    cordoned,
    draining,
    pressure,
    zone,
    labels,
    cpu_model,
    volumes,
    storages,
    group_on_host,
    group_in_zone,
    memory,
    vcpus,
    microvms,
};

inline constexpr std::size_t misfit_count = 14;

// But for the room that is left: whatever else forbids it.
[[nodiscard]] std::optional<Misfit> misfit_whatever_room(const Cluster& cluster, HostIdx host,
                                                         const Workload& workload);
// Nothing: it fits.
[[nodiscard]] std::optional<Misfit> misfit(const Cluster& cluster, HostIdx host,
                                           const Workload& workload);

// Counts hosts: "3 hosts: 2 too little memory, 1 cordoned".
class Misfits {
public:
    void add(Misfit misfit) { ++counts_[static_cast<std::size_t>(misfit)]; }
    [[nodiscard]] std::string text() const;

private:
    std::array<std::size_t, misfit_count> counts_{};
};

// Of all hosts of the cluster. Takes time in proportion to them.
[[nodiscard]] std::string explain(const Cluster& cluster, const Workload& workload);

}  // namespace shoal::scheduler
