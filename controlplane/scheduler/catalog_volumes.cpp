// Where microVMs' volumes are, and so where they can run: a volume that is a host's leaves it only
// with the checkpoint of its microVM (Catalog::where_it_can_go_on).
#include <algorithm>
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
    volumes_[name] = {std::move(volume->host), std::move(volume->storage)};
    relocate_users(name);
}

void Catalog::on_volume_gone(const std::string& name) {
    volumes_.erase(name);
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

// No volume_host: any that reaches the storages will do. An empty one: no host has all of them.
// What a group's member lacks is made by the host where it is placed.
void Catalog::set_place_of_volumes(const std::vector<std::string>& volumes,
                                   Workload& workload) const {
    workload.volume_host.reset();
    workload.storages.clear();
    if (volumes.empty()) {
        return;
    }
    if (const model::Group* its = group(workload.group)) {
        for (const model::VolumeClaim& claim : its->volumes) {
            workload.storages.push_back(claim.storage);
        }
    }
    for (const std::string& volume : volumes) {
        const auto found = volumes_.find(volume);
        if (found == volumes_.end() && !workload.group.empty()) {
            continue;
        }
        if (found != volumes_.end() && !found->second.storage.empty()) {
            workload.storages.push_back(found->second.storage);
        } else {
            const std::string host = found == volumes_.end() ? "" : found->second.host;
            const bool is_one = !workload.volume_host || *workload.volume_host == host;
            workload.volume_host = is_one ? host : "";
        }
    }
    std::erase(workload.storages, "");
    std::ranges::sort(workload.storages);
    workload.storages.erase(std::unique(workload.storages.begin(), workload.storages.end()),
                            workload.storages.end());
}

bool Catalog::has_volume_of_host(const MicroVm& microvm) const {
    return std::ranges::any_of(microvm.volumes, [this](const std::string& volume) {
        const auto found = volumes_.find(volume);
        return found == volumes_.end() || found->second.storage.empty();
    });
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
        set_place_of_volumes(microvm.volumes, workload);
        microvm.workload = workloads_.intern(std::move(workload));
        refresh(name);
    }
    listener_.on_work();
}

}  // namespace shoal::scheduler
