// What the catalog learns from each folder of the store.
#include <functional>
#include <utility>

#include "controlplane/model/keys.h"
#include "controlplane/scheduler/catalog.h"
#include "controlplane/scheduler/decode.h"

namespace shoal::scheduler {

namespace {

namespace keys = model::keys;

bool is_final(model::Phase phase) {
    return phase == model::Phase::succeeded || phase == model::Phase::failed;
}

std::pair<std::string, std::string> split(const std::string& path) {
    const auto slash = path.find('/');
    return slash == std::string::npos ? std::pair{path, std::string{}}
                                      : std::pair{path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace

std::size_t fingerprint_of(model::MicroVmSpec spec) {
    spec.name.clear();
    spec.group.clear();
    spec.volumes.clear();
    return std::hash<std::string>{}(model::to_json(spec));
}

void Catalog::on_host(const std::string& name, const store::Entry& entry) {
    auto host = decode<model::Host>(entry);
    if (!host) {
        return on_host_gone(name);
    }
    host->name = name;
    info_of(cluster_.put_host(*host)).revision = entry.mod_revision;
    listener_.on_work();
}

void Catalog::on_host_gone(const std::string& name) {
    cluster_.remove_host(host_of(name));
}

// Which one it is a copy of does not matter: it is a preference.
void Catalog::on_copy(const std::string& path, const store::Entry&) {
    const auto [host, name] = split(path);
    const HostIdx index = host_of(host);
    Names& bundles = info_of(index).bundles;
    bundles.insert(name);
    cluster_.set_images(index, bundles);
}

void Catalog::on_copy_gone(const std::string& path) {
    const auto [host, name] = split(path);
    const HostIdx index = host_of(host);
    Names& bundles = info_of(index).bundles;
    bundles.erase(name);
    cluster_.set_images(index, bundles);
}

void Catalog::on_group(const std::string& name, const store::Entry& entry) {
    auto group = decode<model::Group>(entry);
    if (!group) {
        damaged_groups_.insert(name);
        return;  // Damaged is not deleted: its members go on.
    }
    damaged_groups_.erase(name);
    group_fingerprints_[name] = fingerprint_of(group->microvm);
    groups_[name] = std::move(*group);
    regroup(name);
}

void Catalog::on_group_gone(const std::string& name) {
    damaged_groups_.erase(name);
    groups_.erase(name);
    group_fingerprints_.erase(name);
    regroup(name);
}

void Catalog::on_spec(const std::string& name, const store::Entry& entry) {
    const auto spec = decode<model::MicroVmSpec>(entry);
    MicroVm& microvm = microvms_[name];
    unlist(name, microvm);
    microvm.has_damaged_spec = !spec;
    if (!spec) {
        microvm.flight = Flight::none;
        return refresh(name);
    }
    if (!spec->group.empty() && members_[spec->group].insert(name).second) {
        changed_groups_.insert(spec->group);
    }
    if (!microvm.workload) {
        microvm.flight = Flight::none;  // Whatever flies is about one that had this name before.
    }
    set_volumes(name, microvm, spec->volumes);
    microvm.workload = workload_of(*spec);
    microvm.on_host_failure = spec->on_host_failure;
    microvm.created = entry.create_revision;
    microvm.revision = entry.mod_revision;
    microvm.fingerprint = fingerprint_of(*spec);
    refresh(name);
}

void Catalog::on_spec_gone(const std::string& name) {
    const auto found = microvms_.find(name);
    if (found == microvms_.end()) {
        return;
    }
    MicroVm& microvm = found->second;
    unlist(name, microvm);
    microvm.has_damaged_spec = false;
    if (!microvm.workload) {
        return refresh(name);
    }
    const std::string group = microvm.workload->group;
    if (const auto members = members_.find(group); members != members_.end()) {
        members->second.erase(name);
        changed_groups_.insert(group);
        if (members->second.empty()) {
            members_.erase(members);
        }
    }
    set_volumes(name, microvm, {});
    microvm.workload.reset();
    microvm.revision = 0;
    microvm.flight = Flight::none;
    refresh(name);
}

void Catalog::on_deletion(const std::string& name, const store::Entry&) {
    microvms_[name].is_deleted = true;
    refresh(name);
}

void Catalog::on_deletion_gone(const std::string& name) {
    MicroVm& microvm = microvms_[name];
    microvm.is_deleted = false;
    if (!microvm.workload) {
        microvm.flight = Flight::none;
    }
    refresh(name);
}

void Catalog::on_placement(const std::string& name, const store::Entry& entry) {
    const auto placement = decode<model::Placement>(entry);
    MicroVm& microvm = microvms_[name];
    unlist(name, microvm);
    microvm.has_damaged_placement = !placement;
    if (!placement) {
        microvm.flight = Flight::none;
        return refresh(name);
    }
    set_placed(name, microvm,
               MicroVm::At{host_of(placement->host), placement->epoch, entry.mod_revision});
    refresh(name);
}

void Catalog::on_placement_gone(const std::string& name) {
    MicroVm& microvm = microvms_[name];
    unlist(name, microvm);
    microvm.has_damaged_placement = false;
    set_placed(name, microvm, std::nullopt);
    refresh(name);
}

void Catalog::on_move(const std::string& name, const store::Entry& entry) {
    auto move = decode<model::Move>(entry);
    MicroVm& microvm = microvms_[name];
    unlist(name, microvm);
    microvm.has_damaged_move = !move;
    if (!move) {
        microvm.flight = Flight::none;
        return refresh(name);
    }
    microvm.move = std::move(move);
    microvm.move_revision = entry.mod_revision;
    microvm.flight = Flight::none;
    moving_.insert(name);
    refresh(name);
    listener_.on_work();
}

void Catalog::on_move_gone(const std::string& name) {
    MicroVm& microvm = microvms_[name];
    unlist(name, microvm);
    microvm.move.reset();
    microvm.has_damaged_move = false;
    microvm.move_revision = 0;
    microvm.flight = Flight::none;
    moving_.erase(name);
    refresh(name);
    listener_.on_work();
}

void Catalog::on_checkpoint(const std::string& name, const store::Entry& entry) {
    // A damaged one is none to go on from, but there.
    microvms_[name].checkpoint = decode<model::Checkpoint>(entry).value_or(model::Checkpoint{});
    refresh(name);
}

void Catalog::on_checkpoint_gone(const std::string& name) {
    microvms_[name].checkpoint.reset();
    refresh(name);
}

void Catalog::on_status(const std::string& path, const store::Entry& entry) {
    const auto status = decode<model::MicroVmStatus>(entry);
    const auto [host, name] = split(path);
    MicroVm& microvm = microvms_[name];
    unlist(name, microvm);
    microvm.has_reason = host == keys::no_host;
    microvm.status_of = microvm.has_reason ? std::nullopt : std::optional{host_of(host)};
    set_status(microvm, status ? std::optional{status->phase} : std::nullopt);
    refresh(name);
}

void Catalog::on_status_gone(const std::string& path) {
    const auto [host, name] = split(path);
    MicroVm& microvm = microvms_[name];
    unlist(name, microvm);
    if (host == keys::no_host) {
        microvm.has_reason = false;
        microvm.flight = microvm.placed ? Flight::none : microvm.flight;
    }
    const auto speaker = host == keys::no_host ? std::nullopt : std::optional{host_of(host)};
    if (microvm.status_of == speaker) {
        microvm.status_of.reset();
        set_status(microvm, std::nullopt);
    }
    refresh(name);
}

void Catalog::set_status(MicroVm& microvm, std::optional<model::Phase> phase) {
    const bool is_running = phase == model::Phase::running;
    const bool is_finished = phase && is_final(*phase);
    microvm.has_succeeded = phase == model::Phase::succeeded;
    if (is_running && !microvm.is_running) {
        microvm.runs_since = loop_.now();
    }
    microvm.ran_for =
        is_running || microvm.is_running ? loop_.now() - microvm.runs_since : microvm.ran_for;
    const bool was_running = std::exchange(microvm.is_running, is_running);
    const bool was_finished = std::exchange(microvm.is_finished, is_finished);
    if (was_running != is_running || was_finished != is_finished) {
        regroup_of(microvm);
    }
}

}  // namespace shoal::scheduler
