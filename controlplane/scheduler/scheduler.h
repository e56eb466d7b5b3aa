// Scheduler: decides for a batch of microVMs which host shall run each. No I/O, no clock; the same
// cluster, batch and seed give the same decision.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/scheduler/candidates.h"
#include "controlplane/scheduler/cluster.h"
#include "controlplane/scheduler/preemption.h"

namespace shoal::scheduler {

struct Request {
    std::string microvm;
    WorkloadRef workload;
    // One that has waited for long, with no lower ones to push out, has room held for it.
    enum class Wait { ordinary, long_already } wait = Wait::ordinary;
};

struct Binding {
    std::string microvm;
    HostIdx host = 0;
};

// Somebody waits for the victims to leave; the room is held for it in the meantime.
struct Eviction {
    std::string microvm;
    Preemption preemption;
};

struct Unplaced {
    std::string microvm;
    std::string reason;  // "3 hosts: 2 too little memory, 1 cordoned"
};

struct Decision {
    std::vector<Binding> bindings;
    std::vector<Eviction> evictions;
    std::vector<Unplaced> unplaced;  // those that wait for evictions, too
};

struct SchedulerLimits {
    std::size_t evictions = 16;            // in one decision
    std::size_t holds_for_long_waits = 8;  // at one time
    std::size_t remembered_workloads = 64;
    // A workload of which there are few, in a large cluster, gets the best of this many hosts that
    // fit, not the best of all.
    std::size_t sampled_hosts = 256;
    std::size_t few = 4;
};

class Scheduler {
public:
    // `cluster` outlives this.
    explicit Scheduler(Cluster& cluster, std::uint64_t seed = 0, SchedulerLimits limits = {})
        : cluster_{cluster}, seed_{seed}, limits_{limits} {}

    // By priority, then those that have waited for long. The cluster is left as the decision makes
    // it: bindings are placed, victims leave, rooms are held. What cannot be carried out is put
    // right there.
    [[nodiscard]] Decision decide(std::vector<Request> batch);
    // Gives up what is held for a microVM that is no longer wanted.
    void forget(const std::string& microvm);

private:
    struct Known {
        std::unique_ptr<Candidates> candidates;
        std::optional<std::uint64_t> refused_at;  // the cluster's change at which none fitted
        std::string reason;
    };

    void decide_one(const Request& request, Decision& decision);
    [[nodiscard]] bool try_sample(const Request& request, Decision& decision);
    // Whether it may move in where room is held for it.
    [[nodiscard]] bool try_held(const Request& request, Decision& decision);
    void bind(const Request& request, HostIdx host, Decision& decision);
    [[nodiscard]] bool try_evict(const Request& request, Decision& decision);
    void hold_for_long_wait(const Request& request);
    [[nodiscard]] std::string reason_of(const Request& request, const Known& its) const;
    Known& known(const WorkloadRef& workload);

    Cluster& cluster_;
    std::uint64_t seed_;
    SchedulerLimits limits_;
    std::unordered_map<WorkloadRef, Known> known_;
    std::unordered_map<const Workload*, std::size_t> batch_counts_;  // of this decision's batch
    std::uint64_t sample_count_ = 0;
    std::unordered_map<std::string, Request::Wait> holds_;  // by microVM: what for
    std::size_t long_hold_count_ = 0;
};

}  // namespace shoal::scheduler
