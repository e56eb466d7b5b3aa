// Candidates: the hosts that fit one workload, best first. Looks at all hosts once, and later only
// at those that changed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "controlplane/scheduler/cluster.h"

namespace shoal::scheduler {

class Candidates {
public:
    // `cluster` outlives this. Equal scores are ordered by `seed`.
    Candidates(const Cluster& cluster, WorkloadRef workload, std::uint64_t seed);

    // Nothing, where no host fits.
    [[nodiscard]] std::optional<HostIdx> best();

private:
    struct Entry {
        std::int64_t score;
        std::uint32_t tie;
        HostIdx host;
        std::uint32_t version;

        auto operator<=>(const Entry&) const = default;
    };
    using Heap = std::vector<Entry>;

    void catch_up();
    void look_at_all();
    void look_at(HostIdx host);
    // The best that is still as it was when it was looked at.
    [[nodiscard]] const Entry* top(Heap& heap) const;
    [[nodiscard]] bool is_better(ZoneIdx zone, const Entry& entry, ZoneIdx best_zone,
                                 const Entry& best) const;

    const Cluster& cluster_;
    WorkloadRef workload_;
    std::uint64_t seed_;
    std::vector<Heap> by_zone_;
    std::vector<std::uint32_t> looked_at_;  // by host: which version
    std::uint64_t next_change_ = 0;
    std::size_t entry_count_ = 0;
};

struct Sample {
    std::uint64_t seed = 0;
    std::size_t hosts = 0;  // that fit
};

// The best of a random few that fit. Nothing, where none of all fits.
[[nodiscard]] std::optional<HostIdx> best_of_sample(const Cluster& cluster,
                                                    const Workload& workload, Sample sample);

}  // namespace shoal::scheduler
