// Budgets, and targets by the same filters and scores as placing.
#include "controlplane/scheduler/moves.h"

#include <utility>

#include "controlplane/scheduler/misfit.h"
#include "controlplane/scheduler/score.h"

namespace shoal::scheduler {

namespace {

// No microVM can be called so.
std::string held_name(const std::string& microvm) {
    return microvm + "/moving";
}

std::size_t count_at(const std::unordered_map<HostIdx, std::size_t>& counts, HostIdx host) {
    const auto found = counts.find(host);
    return found == counts.end() ? 0 : found->second;
}

}  // namespace

bool Moves::may_leave(HostIdx host) const {
    return moves_.size() < limits_.in_cluster && count_at(leaving_, host) < limits_.out_of_host;
}

bool Moves::may_enter(HostIdx host) const {
    return moves_.size() < limits_.in_cluster && count_at(entering_, host) < limits_.into_host;
}

template <typename Action>
auto Moves::without(const std::string& microvm, Action action) {
    const Placed placed = *cluster_.find(microvm);
    cluster_.remove(microvm);
    auto result = action(placed);
    cluster_.put(microvm, placed.workload, placed.host, placed.claim);
    return result;
}

template <typename Value>
std::optional<HostIdx> Moves::target(const std::string& microvm, Value value) {
    return without(microvm, [this, &value](const Placed& placed) {
        std::optional<std::pair<std::int64_t, HostIdx>> best;
        for (HostIdx host = 0; host < cluster_.host_count(); ++host) {
            if (host == placed.host || !may_enter(host) ||
                misfit(cluster_, host, *placed.workload)) {
                continue;
            }
            const std::int64_t its = value(host, *placed.workload);
            if (!best || its > best->first) {
                best = {its, host};
            }
        }
        return best ? std::optional{best->second} : std::nullopt;
    });
}

std::optional<HostIdx> Moves::best_target(const std::string& microvm) {
    return target(microvm, [this](HostIdx host, const Workload& workload) {
        return score(cluster_, host, workload);
    });
}

std::optional<HostIdx> Moves::emptiest_target(const std::string& microvm) {
    return target(microvm, [this](HostIdx host, Workload workload) {
        workload.spreading = model::Spreading::spread;
        return score(cluster_, host, workload);
    });
}

std::string Moves::why_no_target(const std::string& microvm) {
    return without(microvm, [this](const Placed& placed) {
        Misfits misfits;
        for (HostIdx host = 0; host < cluster_.host_count(); ++host) {
            if (host != placed.host && cluster_.host(host).is_known) {
                if (const auto found = misfit(cluster_, host, *placed.workload)) {
                    misfits.add(*found);
                }
            }
        }
        return misfits.text();
    });
}

void Moves::begin(const Move& move) {
    cluster_.put(held_name(move.microvm), cluster_.find(move.microvm)->workload, move.to,
                 Claim::held);
    ++leaving_[move.from];
    ++entering_[move.to];
    moves_[move.microvm] = move;
}

void Moves::end(const std::string& microvm) {
    const auto found = moves_.find(microvm);
    if (found == moves_.end()) {
        return;
    }
    cluster_.remove(held_name(microvm));
    --leaving_[found->second.from];
    --entering_[found->second.to];
    moves_.erase(found);
}

}  // namespace shoal::scheduler
