// What was said of a microVM before is taken back first.
#include "controlplane/node/room.h"

namespace shoal::node {

Waiting waiting_of(const MicroVm& microvm) {
    return {-std::int64_t{microvm.spec.priority}, microvm.created, microvm.spec.name};
}

bool Room::update(const Mirror& mirror, const std::string& name) {
    const model::Resources before = used_by(name);
    users_.erase(name);
    used_ -= before;
    if (const auto place = places_.find(name); place != places_.end()) {
        waiting_.erase(place->second);
        places_.erase(place);
    }
    const MicroVm* microvm = mirror.find(name);
    if (microvm != nullptr && !microvm->placement) {
        places_.emplace(name, waiting_.insert(waiting_of(*microvm)).first);
    } else if (microvm != nullptr && !has_ended(*microvm)) {
        users_.emplace(name, microvm->spec.resources());
        used_ += microvm->spec.resources();
    }
    return !before.fits(used_by(name));
}

model::Resources Room::used_by(const std::string& name) const {
    const auto found = users_.find(name);
    return found == users_.end() ? model::Resources{} : found->second;
}

}  // namespace shoal::node
