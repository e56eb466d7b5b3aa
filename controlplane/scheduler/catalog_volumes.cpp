// Where microVMs' volumes are, and so where they can run: a volume leaves its host only with the
// checkpoint of its microVM (Catalog::where_it_can_go_on).
#include <utility>

#include "controlplane/model/volume.h"
#include "controlplane/scheduler/catalog.h"
#include "controlplane/scheduler/decode.h"

namespace shoal::scheduler {

void Catalog::on_volume(const std::string& name, const store::Entry& entry) {
    auto volume = decode<model::Volume>(entry);
    if (!volume) {
        return on_volume_gone(name);
    }
    volume_hosts_[name] = std::move(volume->host);
    relocate_users(name);
}

void Catalog::on_volume_gone(const std::string& name) {
    volume_hosts_.erase(name);
    relocate_users(name);
}

void Catalog::set_volumes(const std::string& name, MicroVm& microvm,
                          std::vector<std::string> volumes) {
    for (const std::string& volume : microvm.volumes) {
        if (const auto users = volume_users_.find(volume); users != volume_users_.end()) {
            users->second.erase(name);
            if (users->second.empty()) {
                volume_users_.erase(users);
            }
        }
    }
    for (const std::string& volume : volumes) {
        volume_users_[volume].insert(name);
    }
    microvm.volumes = std::move(volumes);
}

// Nothing: any host will do. Empty: no host has all of them. What a group's member lacks is made
// where it is placed.
std::optional<std::string> Catalog::host_of_volumes(const std::vector<std::string>& volumes,
                                                    const std::string& group) const {
    std::optional<std::string> host;
    for (const std::string& volume : volumes) {
        const auto found = volume_hosts_.find(volume);
        if (found == volume_hosts_.end() && !group.empty()) {
            continue;
        }
        if (found == volume_hosts_.end() || (host && *host != found->second)) {
            return std::string{};
        }
        host = found->second;
    }
    return host;
}

void Catalog::relocate_users(const std::string& volume) {
    const auto users = volume_users_.find(volume);
    if (users == volume_users_.end()) {
        return;
    }
    for (const std::string& name : users->second) {
        MicroVm& microvm = microvms_.at(name);
        Workload workload = *microvm.workload;
        unlist(name, microvm);
        workload.volume_host = host_of_volumes(microvm.volumes, workload.group);
        microvm.workload = workloads_.intern(std::move(workload));
        refresh(name);
    }
    listener_.on_work();
}

}  // namespace shoal::scheduler
