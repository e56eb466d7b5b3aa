// How the controller keeps groups at their count.
#include <algorithm>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/scheduler/controller.h"
#include "devices/host/log.h"

namespace shoal::scheduler {

namespace {

namespace keys = model::keys;

constexpr std::size_t members_in_transaction = 60;  // with 2 conditions each
constexpr std::chrono::seconds period{1};
constexpr std::chrono::seconds settles_within{5};

}  // namespace

void Controller::reconcile_groups() {
    if (loop_.now() - groups_at_ >= period) {
        groups_at_ = loop_.now();
        if (catalog_.has_unsettled(settles_within)) {
            return catalog_.read_again();
        }
        for (const std::string& group : std::exchange(groups_later_, {})) {
            catalog_.mark_group(group);
        }
    }
    for (const std::string& group : catalog_.take_changed_groups()) {
        if (group_writes_.contains(group) || in_flight_ >= settings_.transactions_in_flight) {
            groups_later_.insert(group);
        } else {
            reconcile_group(group);
        }
    }
}

void Controller::reconcile_group(const std::string& name) {
    if (catalog_.is_damaged_group(name)) {
        return;
    }
    const model::Group* known = catalog_.group(name);
    model::Group group = known != nullptr ? *known : model::Group{};
    group.name = name;
    static const Catalog::Names none;
    const Catalog::Names* members = catalog_.members(name);
    const GroupPlan plan =
        plan_group(group, members != nullptr ? *members : none,
                   [&](const std::string& member) { return state_of(member, name); });
    store::Transaction transaction;
    const auto flush = [&](std::size_t at_least) {
        const bool is_room = in_flight_ < settings_.transactions_in_flight;
        if (is_room && transaction.operations.size() >= at_least) {
            commit_group(name, std::exchange(transaction, {}));
        }
        return is_room;
    };
    // After a conflict one by one, so that one name which cannot be had keeps back no other.
    const std::size_t at_once = singly_.erase(name) != 0 ? 1 : members_in_transaction;
    for (const std::string& member : plan.create) {
        if (const MicroVm* there = catalog_.find(member);
            there != nullptr && (there->workload || there->placed || there->is_damaged())) {
            tell_taken(name, member, *there);
            groups_later_.insert(name);
            continue;
        }
        taken_.erase(member);
        const auto back_off = back_off_.find(member);
        if (back_off != back_off_.end() && loop_.now() < back_off->second.until) {
            groups_later_.insert(name);
            continue;
        }
        transaction.conditions.push_back({keys::of(keys::microvms, member), 0});
        transaction.conditions.push_back({keys::of(keys::placements, member), 0});
        transaction.operations.emplace_back(store::Put{
            keys::of(keys::microvms, member), model::to_json(model::member_of(group, member))});
        if (!flush(at_once)) {
            return static_cast<void>(groups_later_.insert(name));
        }
    }
    Names leave = plan.remove;
    for (const std::string& member : plan.remove) {
        back_off_.erase(member);
    }
    for (const std::string& member : plan.replace) {
        put_off(member);
        leave.push_back(member);
    }
    for (const std::string& member : leave) {
        const MicroVm& microvm = *catalog_.find(member);
        if (microvm.is_deleted) {
            continue;
        }
        // Not of another one that has its name by now.
        transaction.conditions.push_back({keys::of(keys::microvms, member), microvm.revision});
        transaction.operations.emplace_back(store::Put{keys::of(keys::deletions, member), "{}"});
        if (!flush(at_once)) {
            return static_cast<void>(groups_later_.insert(name));
        }
    }
    flush(1);
}

// Once for each: of somebody else's microVM. One that stops makes place soon.
void Controller::tell_taken(const std::string& group, const std::string& member,
                            const MicroVm& there) {
    const bool is_foreign = there.workload && there.workload->group != group;
    if (is_foreign && taken_.insert(member).second) {
        host::log(host::LogLevel::warn, "group " + group + " lacks its member " + member +
                                            ": a microVM that is not of the group has this name");
    }
}

MemberState Controller::state_of(const std::string& member, const std::string& group) {
    const MicroVm& microvm = *catalog_.find(member);
    MemberState state;
    state.is_running = microvm.is_running;
    state.is_leaving = microvm.is_deleted;
    state.is_suspected = microvm.placed && catalog_.is_suspected(microvm.placed->host);
    state.has_ended = microvm.is_finished;
    const model::Group* known = catalog_.group(group);
    state.is_outdated = microvm.fingerprint != catalog_.fingerprint_of_group(group) ||
                        (known != nullptr && microvm.volumes != model::volumes_of(*known, member));
    return state;
}

void Controller::put_off(const std::string& member) {
    const MicroVm& microvm = *catalog_.find(member);
    model::BackOff& back_off = back_off_[member];
    if (microvm.has_succeeded) {
        back_off.note_success(loop_.now());
    } else {
        back_off.note_failure(loop_.now(), microvm.ran_for);
    }
}

void Controller::commit_group(const std::string& group, store::Transaction transaction) {
    const auto guard = leadership_.guard();
    if (!guard) {
        return;
    }
    transaction.conditions.push_back(*guard);
    ++in_flight_;
    ++group_writes_[group];
    store_.commit(std::move(transaction), [weak = std::weak_ptr{self_},
                                           group](const store::Result<store::Revision>& result) {
        const auto self = weak.lock();
        if (!self) {
            return;
        }
        --(*self)->in_flight_;
        if (--(*self)->group_writes_[group] == 0) {
            (*self)->group_writes_.erase(group);
        }
        if (!result) {
            (*self)->leadership_.check();
            (*self)->singly_.insert(group);
        }
        // A name may still be taken by one that stops.
        (*self)->groups_later_.insert(group);
    });
}

}  // namespace shoal::scheduler
