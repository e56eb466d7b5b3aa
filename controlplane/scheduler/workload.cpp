// Interning of workloads.
#include "controlplane/scheduler/workload.h"

#include <algorithm>
#include <functional>

namespace shoal::scheduler {

namespace {

template <typename T>
void mix(std::size_t& hash, const T& value) {
    hash ^= std::hash<T>{}(value) + 0x9e3779b97f4a7c15ULL + (hash << 6) + (hash >> 2);
}

// The rest seldom differs where these are equal.
std::size_t hash_of(const Workload& workload) {
    std::size_t hash = 0;
    mix(hash, workload.resources.memory_mib);
    mix(hash, workload.resources.vcpu_millis);
    mix(hash, workload.priority);
    mix(hash, workload.group);
    mix(hash, workload.image);
    mix(hash, workload.cpu_model);
    for (const std::string& host : workload.kept_on) {
        mix(hash, host);
    }
    mix(hash, workload.volume_host);
    for (const std::string& storage : workload.storages) {
        mix(hash, storage);
    }
    return hash;
}

}  // namespace

WorkloadRef WorkloadTable::intern(Workload workload) {
    if (count_ >= forget_at_) {
        forget_unused();
    }
    auto& alike = by_hash_[hash_of(workload)];
    const auto found =
        std::ranges::find_if(alike, [&](const WorkloadRef& known) { return *known == workload; });
    if (found != alike.end()) {
        return *found;
    }
    ++count_;
    return alike.emplace_back(std::make_shared<const Workload>(std::move(workload)));
}

void WorkloadTable::forget_unused() {
    for (auto entry = by_hash_.begin(); entry != by_hash_.end();) {
        count_ -= std::erase_if(entry->second,
                                [](const WorkloadRef& known) { return known.use_count() == 1; });
        entry = entry->second.empty() ? by_hash_.erase(entry) : std::next(entry);
    }
    forget_at_ = std::max<std::size_t>(1024, 2 * count_);
}

}  // namespace shoal::scheduler
