// Each change of a microVM puts it on the list of what is to be done about it, or on none.
#include "controlplane/scheduler/catalog.h"

#include <algorithm>
#include <utility>

#include "controlplane/model/image.h"
#include "controlplane/model/keys.h"

namespace shoal::scheduler {

namespace keys = model::keys;

Catalog::Catalog(store::EventLoop& loop, store::Store& store, CatalogListener& listener)
    : loop_{loop},
      listener_{listener},
      hosts_folder_{*this, loop, store, keys::hosts, &Catalog::on_host, &Catalog::on_host_gone},
      groups_folder_{*this, loop, store, keys::groups, &Catalog::on_group, &Catalog::on_group_gone},
      volumes_folder_{
          *this, loop, store, keys::volumes, &Catalog::on_volume, &Catalog::on_volume_gone},
      specs_folder_{*this, loop, store, keys::microvms, &Catalog::on_spec, &Catalog::on_spec_gone},
      deletions_folder_{
          *this, loop, store, keys::deletions, &Catalog::on_deletion, &Catalog::on_deletion_gone},
      placements_folder_{*this,
                         loop,
                         store,
                         keys::placements,
                         &Catalog::on_placement,
                         &Catalog::on_placement_gone},
      moves_folder_{*this, loop, store, keys::moves, &Catalog::on_move, &Catalog::on_move_gone},
      checkpoints_folder_{*this,
                          loop,
                          store,
                          keys::checkpoints,
                          &Catalog::on_checkpoint,
                          &Catalog::on_checkpoint_gone},
      statuses_folder_{
          *this, loop, store, keys::statuses, &Catalog::on_status, &Catalog::on_status_gone},
      copies_folder_{*this, loop, store, keys::copies, &Catalog::on_copy, &Catalog::on_copy_gone} {}

void Catalog::start() {
    for (Folder* folder : folders_) {
        folder->follower.list();
    }
}

bool Catalog::is_ready() const {
    return was_ready_ && hosts_known_;
}

void Catalog::on_synced() {
    was_ready_ = std::ranges::all_of(
        folders_, [](const Folder* folder) { return folder->follower.is_synced(); });
    if (was_ready_) {
        for (const auto& [name, since] : std::exchange(settling_, {})) {
            if (const MicroVm* microvm = find(name);
                microvm && microvm->flight == Flight::settling) {
                set_flight(name, Flight::none);
            }
        }
        listener_.on_work();
    }
}

// Nothing is decided before it has been read.
void Catalog::read_again() {
    was_ready_ = false;
    placements_folder_.follower.list();
    moves_folder_.follower.list();
    specs_folder_.follower.list();
}

bool Catalog::has_unsettled(failover::Time longer_than) {
    std::erase_if(settling_, [this](const auto& entry) {
        const MicroVm* microvm = find(entry.first);
        return microvm == nullptr || microvm->flight != Flight::settling;
    });
    return std::ranges::any_of(
        settling_, [&](const auto& entry) { return loop_.now() - entry.second > longer_than; });
}

MicroVm* Catalog::find(const std::string& name) {
    const auto found = microvms_.find(name);
    return found == microvms_.end() ? nullptr : &found->second;
}

const model::Group* Catalog::group(const std::string& name) const {
    const auto found = groups_.find(name);
    return found == groups_.end() ? nullptr : &found->second;
}

const Catalog::Names* Catalog::members(const std::string& group) const {
    const auto found = members_.find(group);
    return found == members_.end() ? nullptr : &found->second;
}

std::size_t Catalog::fingerprint_of_group(const std::string& name) const {
    const auto found = group_fingerprints_.find(name);
    return found == group_fingerprints_.end() ? 0 : found->second;
}

model::Epoch Catalog::epoch_of(HostIdx host) const {
    return host < hosts_.size() ? hosts_[host].epoch : 0;
}

Catalog::HostInfo& Catalog::info_of(HostIdx host) {
    if (host >= hosts_.size()) {
        hosts_.resize(host + 1);
    }
    return hosts_[host];
}

// One that is known only by name can take nothing.
HostIdx Catalog::host_of(const std::string& name) {
    const auto found = cluster_.find_host(name);
    if (found) {
        return *found;
    }
    model::Host nobody;
    nobody.name = name;
    const HostIdx host = cluster_.put_host(nobody);
    cluster_.remove_host(host);
    static_cast<void>(info_of(host));
    return host;
}

void Catalog::set_presence(const std::string& host, failover::Presence presence,
                           model::Epoch epoch) {
    const HostIdx index = host_of(host);
    HostInfo& info = info_of(index);
    const bool is_new_epoch = std::exchange(info.epoch, epoch) != epoch;
    const bool is_suspected = presence == failover::Presence::suspected;
    const bool was_suspected = std::exchange(info.is_suspected, is_suspected);
    cluster_.set_liveness(
        index, presence == failover::Presence::alive ? Liveness::alive : Liveness::silent);
    if (is_suspected != was_suspected) {
        for (const PlacedEntry* entry : cluster_.host(index).microvms) {
            if (!entry->second.workload->group.empty()) {
                changed_groups_.insert(entry->second.workload->group);
            }
        }
    }
    if (is_new_epoch) {
        for (const std::string& name : info.placed) {
            refresh(name);
        }
        for (const std::string& name : Names{moving_}) {
            refresh(name);
        }
    }
    listener_.on_work();
}

// Its members may have to be placed otherwise from now on.
void Catalog::regroup(const std::string& group) {
    changed_groups_.insert(group);
    if (const Names* names = members(group)) {
        for (const std::string& name : *names) {
            MicroVm& microvm = microvms_.at(name);
            Workload workload = *microvm.workload;
            unlist(name, microvm);
            if (const model::Group* its = this->group(group)) {
                workload.spreading = its->spreading;
                workload.anti_affinity = its->anti_affinity;
                workload.host_labels = its->host_labels;
            }
            set_place_of_volumes(microvm.volumes, workload);
            microvm.workload = workloads_.intern(std::move(workload));
            refresh(name);
        }
    }
    listener_.on_work();
}

void Catalog::regroup_of(const MicroVm& member) {
    if (member.workload && !member.workload->group.empty()) {
        changed_groups_.insert(member.workload->group);
        listener_.on_work();
    }
}

WorkloadRef Catalog::workload_of(const model::MicroVmSpec& spec) {
    Workload workload;
    workload.resources = spec.resources();
    workload.priority = spec.priority;
    workload.group = spec.group;
    const std::vector<std::string> images = spec.image_names();
    // Of several images the root's, which is the largest.
    workload.image =
        images.empty() ? spec.from_template : model::copy_name_of_image(images.front());
    set_place_of_volumes(spec.volumes, workload);
    if (const model::Group* its = group(spec.group)) {
        workload.spreading = its->spreading;
        workload.anti_affinity = its->anti_affinity;
        workload.host_labels = its->host_labels;
    }
    return workloads_.intern(std::move(workload));
}

void Catalog::set_flight(const std::string& name, Flight flight) {
    const auto found = microvms_.find(name);
    if (found == microvms_.end()) {
        return;
    }
    found->second.flight = flight;
    if (flight == Flight::settling) {
        settling_[name] = loop_.now();
    }
    refresh(name);
}

void Catalog::set_stopping(const std::string& name) {
    if (MicroVm* microvm = find(name)) {
        microvm->is_stopping = true;
        refresh(name);
    }
}

void Catalog::unlist(const std::string& name, const MicroVm& microvm) {
    lost_.erase(name);
    to_stop_.erase(name);
    to_forget_.erase(name);
    to_tidy_.erase(name);
    moves_lost_.erase(name);
    moves_to_tidy_.erase(name);
    if (microvm.workload) {
        pending_.erase({-std::int64_t{microvm.workload->priority}, microvm.created, name});
    }
}

void Catalog::set_placed(const std::string& name, MicroVm& microvm, std::optional<MicroVm::At> at) {
    if (microvm.placed) {
        hosts_[microvm.placed->host].placed.erase(name);
    }
    microvm.placed = at;
    if (at) {
        hosts_[at->host].placed.insert(name);
    }
    microvm.is_stopping = false;
    microvm.flight = Flight::none;
}

void Catalog::refresh(const std::string& name) {
    const auto found = microvms_.find(name);
    if (found == microvms_.end()) {
        return;
    }
    MicroVm& microvm = found->second;
    unlist(name, microvm);
    // Of one whose spec cannot be read it is known at least that somebody wants it gone.
    const bool is_left_alone =
        microvm.is_damaged() && !(microvm.is_deleted && microvm.is_deletable());
    if (microvm.flight != Flight::none || is_left_alone) {
        return;
    }
    if (microvm.placed) {
        refresh_placed(name, microvm);
    } else {
        refresh_unplaced(name, microvm);
    }
    if (!microvm.workload && !microvm.placed && !microvm.is_deleted && !microvm.has_reason &&
        !microvm.move && !microvm.checkpoint) {
        microvms_.erase(found);
    }
}

bool Catalog::is_alive_under(const std::string& host, model::Epoch epoch) const {
    const auto index = cluster_.find_host(host);
    return index && epoch_of(*index) == epoch;
}

void Catalog::refresh_placed(const std::string& name, MicroVm& microvm) {
    const MicroVm::At& at = *microvm.placed;
    microvm.waits_since = {};
    const bool has_lost_host = at.epoch < epoch_of(at.host);
    // While its destination lives, that has the word: it may run there already.
    const bool may_be_there = microvm.move && microvm.move->failure.empty() &&
                              is_alive_under(microvm.move->to, microvm.move->to_epoch);
    const bool is_lost = has_lost_host && !may_be_there;
    if (microvm.move && microvm.move->failure.empty() && !has_lost_host && !may_be_there) {
        moves_lost_.insert(name);
        listener_.on_work();
    }
    if (is_lost || microvm.is_finished || !microvm.workload) {
        cluster_.remove(name);
    } else {
        const bool leaves = microvm.is_stopping || microvm.is_deleted;
        cluster_.put(name, microvm.workload, at.host, leaves ? Claim::leaving : Claim::placed);
    }
    if (is_lost && (!microvm.is_finished || microvm.is_deleted)) {
        lost_.insert(name);
        listener_.on_work();
    } else if ((microvm.is_deleted || !microvm.workload) && !microvm.is_stopping) {
        to_stop_.insert(name);
        listener_.on_work();
    } else if (microvm.has_reason) {
        to_tidy_.insert(name);
        listener_.on_work();
    }
}

// A snapshot can be loaded on such CPUs alone, and comes over the network unless it is there.
WorkloadRef Catalog::where_it_can_go_on(const MicroVm& microvm) {
    Workload workload = *microvm.workload;
    workload.cpu_model = is_restorable(microvm) ? microvm.checkpoint->cpu_model : std::string{};
    set_place_of_volumes(is_restorable(microvm) ? std::vector<std::string>{} : microvm.volumes,
                         workload);
    workload.kept_on =
        is_restorable(microvm) ? microvm.checkpoint->hosts : std::vector<std::string>{};
    return workload == *microvm.workload ? microvm.workload
                                         : workloads_.intern(std::move(workload));
}

void Catalog::refresh_unplaced(const std::string& name, MicroVm& microvm) {
    if (microvm.move) {
        moves_to_tidy_.insert(name);
    }
    const Placed* claim = cluster_.find(name);
    if (claim != nullptr && claim->claim != Claim::held) {
        cluster_.remove(name);
    }
    const bool is_wanted = microvm.workload && !microvm.is_deleted && !microvm.is_finished;
    if (!is_wanted) {
        unwanted_.insert(name);
        const bool is_left = microvm.has_reason || microvm.checkpoint;
        if (microvm.is_deleted || (is_left && !microvm.workload)) {
            to_forget_.insert(name);
        }
    } else {
        microvm.workload = where_it_can_go_on(microvm);
        pending_.emplace(-std::int64_t{microvm.workload->priority}, microvm.created, name);
        if (microvm.waits_since == failover::Time{}) {
            microvm.waits_since = loop_.now();
        }
    }
    listener_.on_work();
}

}  // namespace shoal::scheduler
