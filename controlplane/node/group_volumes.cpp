// A volume's record says of which group it is; whether that is the group that has the name now is
// told by the revision at which it was created.
#include "controlplane/node/group_volumes.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "controlplane/model/keys.h"
#include "controlplane/node/provisions.h"
#include "devices/host/log.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;

// A file is made and flushed in a few.
constexpr std::chrono::milliseconds retry{5};
constexpr std::chrono::seconds remove_retry{1};

}  // namespace

void GroupVolumes::start() {
    for (const auto& [name, entry] : mirror_.objects().volumes) {
        if (is_stale(entry.body)) {
            stale_.insert(name);
        }
    }
    look_soon();
}

bool GroupVolumes::is_stale(const model::Volume& volume) const {
    if (volume.group.empty() || mirror_.is_damaged_group(volume.group)) {
        return false;
    }
    const auto group = mirror_.groups().find(volume.group);
    return group == mirror_.groups().end() ||
           static_cast<std::uint64_t>(group->second.created) != volume.group_created;
}

std::string GroupVolumes::user_of(const std::string& volume) const {
    for (const auto& [name, microvm] : mirror_.microvms()) {
        const auto& theirs = microvm.spec.volumes;
        if (microvm.revision != 0 && std::ranges::find(theirs, volume) != theirs.end()) {
            return name;
        }
    }
    return {};
}

void GroupVolumes::expect(const MicroVm& microvm) {
    if (microvm.spec.group.empty() || microvm.spec.volumes.empty()) {
        return;
    }
    const auto group = mirror_.groups().find(microvm.spec.group);
    if (group == mirror_.groups().end()) {
        throw NotYet{"there is no group " + microvm.spec.group};
    }
    for (const model::VolumeClaim& claim : group->second.group.volumes) {
        expect(microvm, group->second, claim);
    }
}

// One that users have made under its name is taken as it is, and stays theirs.
void GroupVolumes::expect(const MicroVm& member, const GroupEntry& group,
                          const model::VolumeClaim& claim) {
    const std::string name = model::volume_of(member.spec.name, claim);
    if (changes_.is_changing(name)) {
        throw NotYet{"volume " + name + " is being made", retry};
    }
    const auto& all = mirror_.objects().volumes;
    if (const auto found = all.find(name); found != all.end()) {
        const model::Volume& volume = found->second.body;
        if (!volume.group.empty() && (volume.group != group.group.name || is_stale(volume))) {
            throw NotYet{"volume " + name + " is of another group " + volume.group};
        }
        if (volume.storage != claim.storage) {
            throw NotYet{"volume " + name + " is not on the storage that its group says"};
        }
        return;
    }
    if (auto failure = failures_.extract(name); !failure.empty()) {
        throw NotYet{"volume " + name + " cannot be made: " + failure.mapped()};
    }
    if (const std::string reason = changes_.why_not(name, claim.storage); !reason.empty()) {
        throw NotYet{"volume " + name + " cannot be made: " + reason};
    }
    make(member, group, claim);
    throw NotYet{"volume " + name + " is being made", retry};
}

// While the member is placed here, and the group is as it is.
void GroupVolumes::make(const MicroVm& member, const GroupEntry& group,
                        const model::VolumeClaim& claim) {
    const std::string name = model::volume_of(member.spec.name, claim);
    const model::Volume volume{.name = name,
                               .size_mib = claim.size_mib,
                               .host = host_,
                               .storage = claim.storage,
                               .group = group.group.name,
                               .group_created = static_cast<std::uint64_t>(group.created)};
    changes_.create(volume,
                    {{keys::of(keys::placements, member.spec.name), member.placement_revision},
                     {keys::of(keys::groups, group.group.name), group.revision}},
                    [weak = std::weak_ptr{self_}, name](const auto& failure) {
                        const auto self = weak.lock();
                        const bool is_conflict =
                            failure && failure->store &&
                            failure->store->failure == store::Failure::conflict;
                        if (self && failure && !is_conflict) {
                            (*self)->failures_[name] = failure->reason;
                        }
                    });
}

void GroupVolumes::on_group_changed(const std::string& name) {
    const std::string prefix = name + "-";
    const auto& all = mirror_.objects().volumes;
    for (auto at = all.lower_bound(prefix); at != all.end() && at->first.starts_with(prefix);
         ++at) {
        if (is_stale(at->second.body) && stale_.insert(at->first).second) {
            look_soon();
        }
    }
}

// What it looked after may be anybody's now.
void GroupVolumes::on_host_changed(const std::string& name) {
    if (!stale_.empty() && mirror_.find_host(name) == nullptr) {
        look_soon();
    }
}

// It may be the last that had one of them.
void GroupVolumes::on_microvm_changed(const std::string& name) {
    if (!stale_.empty() && mirror_.find(name) == nullptr) {
        look_soon();
    }
}

void GroupVolumes::look_soon(store::EventLoop::Duration delay) {
    if (!std::exchange(will_look_, true)) {
        loop_.call_after(delay, [weak = std::weak_ptr{self_}] {
            if (const auto self = weak.lock()) {
                (*self)->look();
            }
        });
    }
}

void GroupVolumes::look() {
    will_look_ = false;
    const auto& all = mirror_.objects().volumes;
    std::erase_if(stale_, [&](const std::string& name) {
        const auto found = all.find(name);
        return found == all.end() || !is_stale(found->second.body);
    });
    for (const std::string& name : stale_) {
        const auto& volume = all.at(name);
        if (changes_.is_changing(name)) {
            look_soon(remove_retry);
        } else if (!user_of(name).empty()) {
            continue;
        } else if (volume.body.host == host_) {
            remove(volume);
        } else if (changes_.is_orphan(volume.body)) {
            adopt(volume);
        }
    }
}

// One of the hosts that see it does so, and deletes it.
void GroupVolumes::adopt(const Object<model::Volume>& volume) {
    changes_.adopt(volume.body, host_, volume.revision, {},
                   [weak = std::weak_ptr{self_}](const std::optional<VolumeFailure>&) {
                       if (const auto self = weak.lock()) {
                           (*self)->look_soon(remove_retry);
                       }
                   });
}

void GroupVolumes::remove(const Object<model::Volume>& volume) {
    const std::string& name = volume.body.name;
    changes_.remove(
        volume.body, volume.revision, [this, name] { return user_of(name); },
        [weak = std::weak_ptr{self_}, name](const std::optional<VolumeFailure>& failure) {
            const auto self = weak.lock();
            if (self && failure) {
                host::log(host::LogLevel::warn,
                          "volume " + name + " is not deleted yet: " + failure->reason);
                (*self)->look_soon(remove_retry);
            }
        });
}

}  // namespace shoal::node
