// Workload: what a microVM asks of a host, apart from its name. Those of one workload are alike to
// the scheduler, which looks at each host once for all of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/model/group.h"
#include "controlplane/model/resources.h"

namespace shoal::scheduler {

struct Workload {
    model::Resources resources;
    std::int32_t priority = 0;
    std::string group;  // empty: it stands alone
    model::Spreading spreading = model::Spreading::bin_pack;
    model::AntiAffinity anti_affinity = model::AntiAffinity::none;
    model::Labels host_labels;  // which a host must have
    std::string zone;           // which a host must be in; empty: any
    std::string cpu_model;      // of the snapshot that it is restored from; empty: it boots
    // The one that has its volumes, where they do not come along; empty: none has all of them.
    std::optional<std::string> volume_host;
    std::vector<std::string> storages;  // which a host must reach, for its volumes: sorted
    std::string image;  // what its copies are called: hosts that have it are preferred
    std::vector<std::string> kept_on;  // hosts that have its checkpoint: preferred

    bool operator==(const Workload&) const = default;
};

using WorkloadRef = std::shared_ptr<const Workload>;

// One object for equal workloads, so that they are compared by address. Forgets unused ones.
class WorkloadTable {
public:
    [[nodiscard]] WorkloadRef intern(Workload workload);
    [[nodiscard]] std::size_t count() const noexcept { return count_; }

private:
    void forget_unused();

    std::unordered_map<std::size_t, std::vector<WorkloadRef>> by_hash_;
    std::size_t count_ = 0;
    std::size_t forget_at_ = 1024;
};

}  // namespace shoal::scheduler
