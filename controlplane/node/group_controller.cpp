// One transaction at a time for each group, and a new look when it is done.
#include "controlplane/node/group_controller.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/rfc3339.h"
#include "controlplane/store/limits.h"
#include "devices/host/log.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;
using model::Phase;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds commit_retry{100};
// Between replacements of a member that fails: 1 s, 2 s, 4 s, ...
// Of one member, or of the group itself, which is a condition too.
constexpr std::size_t max_changes = store::max_operations - 1;

Phase phase_of(const MicroVm& microvm) {
    return microvm.status.value_or(model::MicroVmStatus{}).phase;
}

milliseconds ran_for(const model::MicroVmStatus& status) {
    const auto started = from_rfc3339(status.started_at);
    const auto ended = from_rfc3339(status.ended_at);
    return milliseconds{started && ended ? *ended - *started : 0};
}

std::string member_name(const std::string& group, std::uint64_t index) {
    return group + "-" + std::to_string(index);
}

bool is_outdated(const model::Group& group, const MicroVm& member) {
    return model::to_json(member.spec) != model::to_json(model::member_of(group, member.spec.name));
}

void remove(const MicroVm& member, store::Transaction& transaction) {
    const std::string& name = member.spec.name;
    transaction.conditions.push_back({keys::of(keys::microvms, name), member.revision});
    transaction.operations.emplace_back(
        store::Put{keys::of(keys::deletions, name), model::to_json(model::Deletion{})});
}

bool is_full(const store::Transaction& transaction) {
    return transaction.operations.size() >= max_changes;
}

}  // namespace

std::optional<std::uint64_t> member_index(std::string_view group, std::string_view name) {
    if (!name.starts_with(group) || name.size() < group.size() + 2 || name[group.size()] != '-') {
        return std::nullopt;
    }
    const std::string_view digits = name.substr(group.size() + 1);
    std::uint64_t index = 0;
    const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    const bool is_index = error == std::errc{} && rest == digits.data() + digits.size() &&
                          std::to_string(index) == digits;
    return is_index ? std::optional{index} : std::nullopt;
}

void GroupController::start() {
    for (const auto& [name, group] : mirror_.groups()) {
        look_at(name);
    }
    for (const auto& [name, microvm] : mirror_.microvms()) {
        if (!microvm.spec.group.empty()) {
            look_at(microvm.spec.group);
        }
    }
}

// It may be gone, and its name is all that is left: those groups that it can have been of.
void GroupController::on_microvm_changed(const std::string& name) {
    if (const MicroVm* microvm = mirror_.find(name)) {
        if (!microvm->spec.group.empty()) {
            look_at(microvm->spec.group);
        }
        return;
    }
    const std::size_t dash = name.rfind('-');
    if (dash != std::string::npos && mirror_.groups().contains(name.substr(0, dash))) {
        look_at(name.substr(0, dash));
    }
}

void GroupController::look_at(const std::string& group) {
    to_look_at_.insert(group);
    if (to_look_at_.size() == 1) {
        loop_.post([weak = std::weak_ptr{self_}] {
            if (const auto self = weak.lock()) {
                (*self)->look();
            }
        });
    }
}

void GroupController::look() {
    for (const std::string& name : std::exchange(to_look_at_, {})) {
        if (!committing_.contains(name)) {
            reconcile(name);
        }
    }
}

GroupController::Members GroupController::members_of(const std::string& group) const {
    Members members;
    const std::string prefix = group + "-";
    const auto& microvms = mirror_.microvms();
    for (auto at = microvms.lower_bound(prefix);
         at != microvms.end() && at->first.starts_with(prefix); ++at) {
        if (at->second.revision != 0 && at->second.spec.group == group) {
            members.push_back(&at->second);
        }
    }
    return members;
}

void GroupController::reconcile(const std::string& name) {
    if (mirror_.is_damaged_group(name)) {
        return;
    }
    const Members members = members_of(name);
    const auto group = mirror_.groups().find(name);
    if (group == mirror_.groups().end()) {
        remove_members(name, members);
    } else {
        keep(group->second, members);
    }
}

void GroupController::remove_members(const std::string& group, const Members& members) {
    store::Transaction transaction;
    transaction.conditions = {{keys::of(keys::groups, group), 0}};
    for (const MicroVm* member : members) {
        back_off_.erase(member->spec.name);
        if (!member->deletion && !is_full(transaction)) {
            remove(*member, transaction);
        }
    }
    commit(group, std::move(transaction));
}

void GroupController::keep(const GroupEntry& entry, const Members& members) {
    store::Transaction transaction;
    transaction.conditions = {{keys::of(keys::groups, entry.group.name), entry.revision}};
    for (const MicroVm* member : members) {
        const auto index = member_index(entry.group.name, member->spec.name);
        if (member->deletion || is_full(transaction)) {
            continue;
        }
        if (!index || *index >= entry.group.count) {
            back_off_.erase(member->spec.name);
            remove(*member, transaction);
        } else if (has_ended(*member)) {
            replace_ended(*member, transaction);
        }
    }
    create_missing(entry, members, transaction);
    if (transaction.operations.empty()) {
        replace_outdated(entry, members, transaction);
    }
    commit(entry.group.name, std::move(transaction));
}

void GroupController::replace_ended(const MicroVm& member, store::Transaction& transaction) {
    model::BackOff& back_off = back_off_[member.spec.name];
    if (phase_of(member) == Phase::succeeded) {
        back_off.note_success(loop_.now());
    } else {
        back_off.note_failure(loop_.now(), ran_for(*member.status));
    }
    remove(member, transaction);
}

void GroupController::create_missing(const GroupEntry& entry, const Members& members,
                                     store::Transaction& transaction) {
    std::set<std::string> there;
    for (const MicroVm* member : members) {
        there.insert(member->spec.name);
    }
    for (std::uint64_t index = 0; index < entry.group.count && !is_full(transaction); ++index) {
        const std::string name = member_name(entry.group.name, index);
        if (there.contains(name)) {
            continue;
        }
        if (mirror_.find(name) != nullptr) {
            continue;  // Somebody else's; the member's place is free when that is gone.
        }
        const auto back_off = back_off_.find(name);
        if (back_off != back_off_.end() && loop_.now() < back_off->second.until) {
            loop_.call_after(back_off->second.until - loop_.now(),
                             [weak = std::weak_ptr{self_}, group = entry.group.name] {
                                 if (const auto self = weak.lock()) {
                                     (*self)->look_at(group);
                                 }
                             });
            continue;
        }
        const std::string key = keys::of(keys::microvms, name);
        transaction.conditions.push_back({key, 0});
        transaction.operations.emplace_back(
            store::Put{key, model::to_json(model::member_of(entry.group, name))});
    }
}

// One at a time, and only while all others run.
void GroupController::replace_outdated(const GroupEntry& entry, const Members& members,
                                       store::Transaction& transaction) {
    const auto outdated = std::ranges::find_if(
        members, [&](const MicroVm* member) { return is_outdated(entry.group, *member); });
    if (outdated == members.end() || members.size() != entry.group.count) {
        return;
    }
    const bool others_run = std::ranges::all_of(members, [&](const MicroVm* member) {
        return member == *outdated || (phase_of(*member) == Phase::running && !member->deletion);
    });
    if (others_run && !(*outdated)->deletion) {
        remove(**outdated, transaction);
    }
}

void GroupController::commit(const std::string& group, store::Transaction transaction) {
    if (transaction.operations.empty()) {
        return;
    }
    committing_.insert(group);
    store_.commit(std::move(transaction), [weak = std::weak_ptr{self_},
                                           group](store::Result<Revision> result) {
        const auto go_on = [weak, group] {
            if (const auto self = weak.lock()) {
                (*self)->committing_.erase(group);
                (*self)->look_at(group);
            }
        };
        const auto self = weak.lock();
        if (!self) {
            return;
        }
        if (result) {
            return (*self)->mirror_.when(*result, go_on);
        }
        if (result.error().failure != store::Failure::conflict) {
            host::log(host::LogLevel::error,
                      "group " + group + " cannot be changed: " + result.error().reason);
        }
        (*self)->loop_.call_after(commit_retry, go_on);
    });
}

}  // namespace shoal::node
