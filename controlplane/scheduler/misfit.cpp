// The filters, and the sentence that sums them up.
#include "controlplane/scheduler/misfit.h"

#include <algorithm>
#include <numeric>

namespace shoal::scheduler {

namespace {

const char* text_of(Misfit misfit) {
    switch (misfit) {
        case Misfit::silent:
            return "silent";
        case Misfit::cordoned:
            return "cordoned";
        case Misfit::draining:
            return "draining";
        case Misfit::pressure:
            return "under memory pressure";
        case Misfit::zone:
            return "in another zone";
        case Misfit::labels:
            return "without the labels";
        case Misfit::cpu_model:
            return "of another CPU model";
        case Misfit::volumes:
            return "without its volumes";
        case Misfit::storages:
            return "without the storage of its volumes";
        case Misfit::group_on_host:
            return "with one of the group";
        case Misfit::group_in_zone:
            return "in a zone with one of the group";
        case Misfit::memory:
            return "too little memory";
        case Misfit::vcpus:
            return "too few CPUs";
        case Misfit::microvms:
            return "at their number of microVMs";
    }
    return "";
}

std::optional<Misfit> misfit_by_state(const HostState& host) {
    if (host.liveness == Liveness::silent) {
        return Misfit::silent;
    }
    switch (host.facts.scheduling) {
        case model::Scheduling::enabled:
            break;
        case model::Scheduling::cordoned:
            return Misfit::cordoned;
        case model::Scheduling::draining:
            return Misfit::draining;
    }
    return host.facts.memory_pressure.empty() ? std::nullopt : std::optional{Misfit::pressure};
}

bool has_labels(const HostState& host, const model::Labels& wanted) {
    return std::ranges::all_of(wanted, [&host](const auto& label) {
        const auto found = host.facts.labels.find(label.first);
        return found != host.facts.labels.end() && found->second == label.second;
    });
}

bool has_storages(const HostState& host, const std::vector<std::string>& wanted) {
    return std::ranges::all_of(wanted, [&host](const std::string& storage) {
        return std::ranges::find(host.facts.storages, storage) != host.facts.storages.end();
    });
}

std::optional<Misfit> misfit_by_facts(const HostState& host, const Workload& workload) {
    if (!workload.zone.empty() && workload.zone != host.facts.zone) {
        return Misfit::zone;
    }
    if (!has_labels(host, workload.host_labels)) {
        return Misfit::labels;
    }
    if (!workload.cpu_model.empty() && workload.cpu_model != host.facts.cpu_model) {
        return Misfit::cpu_model;
    }
    if (workload.volume_host && *workload.volume_host != host.facts.name) {
        return Misfit::volumes;
    }
    if (!has_storages(host, workload.storages)) {
        return Misfit::storages;
    }
    return std::nullopt;
}

std::optional<Misfit> misfit_by_group(const Cluster& cluster, HostIdx host,
                                      const Workload& workload) {
    switch (workload.anti_affinity) {
        case model::AntiAffinity::none:
            return std::nullopt;
        case model::AntiAffinity::host:
            return cluster.members_on(workload.group, host) > 0
                       ? std::optional{Misfit::group_on_host}
                       : std::nullopt;
        case model::AntiAffinity::zone:
            return cluster.members_in(workload.group, cluster.host(host).zone) > 0
                       ? std::optional{Misfit::group_in_zone}
                       : std::nullopt;
    }
    return std::nullopt;
}

std::optional<Misfit> misfit_by_room(const Room& free, const Room& wanted) {
    if (free.memory_mib < wanted.memory_mib) {
        return Misfit::memory;
    }
    if (free.vcpu_millis < wanted.vcpu_millis) {
        return Misfit::vcpus;
    }
    if (free.microvms < wanted.microvms) {
        return Misfit::microvms;
    }
    return std::nullopt;
}

}  // namespace

std::optional<Misfit> misfit_whatever_room(const Cluster& cluster, HostIdx host,
                                           const Workload& workload) {
    const HostState& state = cluster.host(host);
    if (const auto found = misfit_by_state(state)) {
        return found;
    }
    if (const auto found = misfit_by_facts(state, workload)) {
        return found;
    }
    return misfit_by_group(cluster, host, workload);
}

std::optional<Misfit> misfit(const Cluster& cluster, HostIdx host, const Workload& workload) {
    if (const auto found = misfit_whatever_room(cluster, host, workload)) {
        return found;
    }
    return misfit_by_room(cluster.host(host).free, Room{workload.resources});
}

std::string Misfits::text() const {
    const auto total = std::accumulate(counts_.begin(), counts_.end(), std::size_t{0});
    if (total == 0) {
        return "there are no hosts";
    }
    std::array<std::size_t, misfit_count> order{};
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::greater{}, [this](std::size_t i) { return counts_[i]; });
    std::string text = std::to_string(total) + (total == 1 ? " host" : " hosts");
    for (const std::size_t i : order) {
        if (counts_[i] > 0) {
            text.append(i == order.front() ? ": " : ", ").append(std::to_string(counts_[i]));
            text.append(" ").append(text_of(static_cast<Misfit>(i)));
        }
    }
    return text;
}

std::string explain(const Cluster& cluster, const Workload& workload) {
    Misfits misfits;
    for (HostIdx host = 0; host < cluster.host_count(); ++host) {
        if (cluster.host(host).is_known) {
            if (const auto found = misfit(cluster, host, workload)) {
                misfits.add(*found);
            }
        }
    }
    return misfits.text();
}

}  // namespace shoal::scheduler
