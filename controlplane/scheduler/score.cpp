// In doubles, whose every operation here is exact to the standard: the same everywhere.
#include "controlplane/scheduler/score.h"

#include <algorithm>

namespace shoal::scheduler {

namespace {

constexpr double unit = 1e6;
constexpr double has_image = 0.2;
constexpr double has_checkpoint = 0.5;
constexpr double for_each_member = 1.0;

// Which part is used once `wanted` is there too.
double used(std::int64_t allocatable, std::int64_t free, std::int64_t wanted) {
    if (allocatable <= 0) {
        return 1.0;
    }
    return static_cast<double>(allocatable - free + wanted) / static_cast<double>(allocatable);
}

}  // namespace

std::int64_t score(const Cluster& cluster, HostIdx host, const Workload& workload) {
    const HostState& state = cluster.host(host);
    const Room wanted{workload.resources};
    const double memory =
        used(state.allocatable.memory_mib, state.free.memory_mib, wanted.memory_mib);
    const double vcpus =
        used(state.allocatable.vcpu_millis, state.free.vcpu_millis, wanted.vcpu_millis);
    double sum = 0;
    switch (workload.spreading) {
        case model::Spreading::bin_pack:
            // The lesser of both: fullness less half of the imbalance.
            sum = std::min(memory, vcpus);
            break;
        case model::Spreading::spread:
            sum = -std::max(memory, vcpus);
            if (!workload.group.empty()) {
                sum -= for_each_member * cluster.members_on(workload.group, host);
            }
            break;
    }
    if (!workload.image.empty() && state.images.contains(workload.image)) {
        sum += has_image;
    }
    if (std::ranges::find(workload.kept_on, state.facts.name) != workload.kept_on.end()) {
        sum += has_checkpoint;
    }
    return static_cast<std::int64_t>(sum * unit);
}

}  // namespace shoal::scheduler
