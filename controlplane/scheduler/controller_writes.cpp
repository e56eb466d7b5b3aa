// What the controller writes about one microVM.
#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/scheduler/controller.h"

namespace shoal::scheduler {

namespace {

namespace keys = model::keys;

store::Delete delete_of(std::string_view folder, const std::string& name) {
    return {keys::of(folder, name)};
}

store::Delete delete_reason(const std::string& name) {
    return {keys::of(keys::statuses, keys::no_host, name)};
}

}  // namespace

void Controller::relinquish(const std::string& name, MicroVm& microvm,
                            store::Transaction& transaction) {
    const MicroVm::At& at = *microvm.placed;
    const std::string& host = catalog_.cluster().host(at.host).facts.name;
    transaction.conditions.push_back({keys::of(keys::placements, name), at.revision});
    transaction.operations.emplace_back(delete_of(keys::placements, name));
    transaction.operations.emplace_back(store::Delete{keys::of(keys::assignments, host, name)});
    transaction.operations.emplace_back(store::Delete{keys::of(keys::statuses, host, name)});
    transaction.conditions.push_back({keys::of(keys::moves, name), microvm.move_revision});
    if (microvm.move) {
        transaction.operations.emplace_back(delete_of(keys::moves, name));
    }
    if (!microvm.workload || microvm.is_deleted) {
        return;
    }
    if (microvm.on_host_failure == model::HostFailurePolicy::none) {
        model::MicroVmStatus status;
        status.phase = model::Phase::failed;
        status.reason = "its host " + host + " was lost";
        transaction.operations.emplace_back(
            store::Put{keys::of(keys::statuses, keys::no_host, name), model::to_json(status)});
    } else if (microvm.on_host_failure == model::HostFailurePolicy::restore &&
               !is_restorable(microvm)) {
        model::MicroVmStatus status;
        status.reason = "its host " + host +
                        " was lost before it had a checkpoint: it begins anew" +
                        (microvm.volumes.empty() ? "" : " there, with its volumes");
        transaction.operations.emplace_back(
            store::Put{keys::of(keys::statuses, keys::no_host, name), model::to_json(status)});
    }
}

void Controller::stop(const std::string& name, MicroVm& microvm, store::Transaction& transaction) {
    const MicroVm::At& at = *microvm.placed;
    const std::string& host = catalog_.cluster().host(at.host).facts.name;
    transaction.conditions.push_back({keys::of(keys::placements, name), at.revision});
    transaction.operations.emplace_back(
        store::Put{keys::of(keys::assignments, host, name),
                   model::to_json(model::Assignment{at.epoch, model::Assignment::Wanted::stop})});
    microvm.is_stopping = true;
}

void Controller::forget(const std::string& name, MicroVm& microvm,
                        store::Transaction& transaction) {
    transaction.conditions.push_back({keys::of(keys::placements, name), 0});
    transaction.conditions.push_back({keys::of(keys::microvms, name), microvm.revision});
    if (microvm.workload) {
        transaction.operations.emplace_back(delete_of(keys::microvms, name));
    }
    transaction.operations.emplace_back(delete_of(keys::deletions, name));
    transaction.operations.emplace_back(delete_of(keys::checkpoints, name));
    transaction.operations.emplace_back(delete_reason(name));
}

void Controller::bind(const std::string& name, MicroVm& microvm, store::Transaction& transaction) {
    const HostIdx index = bound_.at(name);
    const std::string& host = catalog_.cluster().host(index).facts.name;
    const model::Epoch epoch = catalog_.epoch_of(index);
    transaction.conditions.push_back({keys::of(keys::placements, name), 0});
    transaction.conditions.push_back({keys::of(keys::microvms, name), microvm.revision});
    transaction.operations.emplace_back(store::Put{keys::of(keys::placements, name),
                                                   model::to_json(model::Placement{host, epoch})});
    transaction.operations.emplace_back(
        store::Put{keys::of(keys::assignments, host, name),
                   model::to_json(model::Assignment{epoch, model::Assignment::Wanted::run})});
    if (told_.erase(name) > 0 || microvm.has_reason) {
        transaction.operations.emplace_back(delete_reason(name));
    }
}

}  // namespace shoal::scheduler
