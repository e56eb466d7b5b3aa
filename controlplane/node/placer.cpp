// A microVM that waits is looked at when it has changed, and all are when there is more room.
#include "controlplane/node/placer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "devices/host/log.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;
using model::Resources;

constexpr std::chrono::milliseconds retry_delay{100};

std::uint64_t less(std::uint64_t from, std::uint64_t what) {
    return from - std::min(from, what);
}

std::string say(const Resources& needs, const Resources& free) {
    if (needs.memory_mib > free.memory_mib) {
        return "it needs " + std::to_string(needs.memory_mib) + " MiB, and " +
               std::to_string(free.memory_mib) + " MiB are free";
    }
    if (needs.vcpu_millis > free.vcpu_millis) {
        return "it needs " + std::to_string(needs.vcpu_millis) + " thousandths of a CPU, and " +
               std::to_string(free.vcpu_millis) + " are free";
    }
    return "the host has as many microVMs as it may have";
}

}  // namespace

Placer::Placer(store::EventLoop& loop, store::Store& store, Mirror& mirror, PlacerSettings settings)
    : loop_{loop}, store_{store}, mirror_{mirror}, settings_{std::move(settings)} {}

void Placer::start() {
    for (const auto& [name, microvm] : mirror_.microvms()) {
        room_.update(mirror_, name);
    }
    look_at_all();
}

void Placer::on_microvm_changed(const std::string& name) {
    if (room_.update(mirror_, name)) {
        return look_at_all();
    }
    const MicroVm* microvm = mirror_.find(name);
    if (microvm != nullptr && !microvm->placement) {
        to_look_at_.insert(waiting_of(*microvm));
        look_soon();
    }
}

Resources Placer::used() const {
    Resources used = room_.used();
    for (const auto& [name, resources] : committing_) {
        used -= room_.used_by(name);  // the mirror shows it already
        used += resources;
    }
    return used;
}

void Placer::look_at_all() {
    is_to_look_at_all_ = true;
    look_soon();
}

void Placer::look_soon() {
    if (!std::exchange(will_look_, true)) {
        loop_.post([weak = std::weak_ptr{self_}] {
            if (const auto self = weak.lock()) {
                (*self)->look();
            }
        });
    }
}

Resources Placer::free() const {
    const Resources in_use = used();
    return {less(settings_.allocatable.memory_mib, in_use.memory_mib),
            less(settings_.allocatable.vcpu_millis, in_use.vcpu_millis),
            less(settings_.allocatable.microvms, in_use.microvms)};
}

std::string Placer::refusal() const {
    const auto entry = mirror_.hosts().find(settings_.host);
    if (entry == mirror_.hosts().end()) {
        return {};
    }
    const model::Host& host = entry->second.host;
    if (host.scheduling != model::Scheduling::enabled) {
        return "the host takes no more: it is cordoned";
    }
    return host.memory_pressure.empty() ? "" : "under memory pressure: " + host.memory_pressure;
}

bool Placer::has_waiting() const {
    return std::ranges::any_of(room_.waiting(), [this](const Waiting& waiting) {
        return !committing_.contains(waiting.name);
    });
}

std::shared_ptr<Placer::Reservation> Placer::reserve(const model::MicroVmSpec& spec) {
    if (!refusal().empty() || committing_.contains(spec.name) || has_waiting() ||
        !spec.resources().fits(free())) {
        return nullptr;
    }
    return std::make_shared<Reservation>(*this, spec);
}

Placer::Reservation::Reservation(Placer& placer, const model::MicroVmSpec& spec)
    : placer_{placer.self_}, host_{placer.settings_.host}, name_{spec.name} {
    placer.committing_[name_] = spec.resources();
}

Placer::Reservation::~Reservation() {
    if (const auto placer = placer_.lock()) {
        (*placer)->committed(name_);
    }
}

void Placer::Reservation::add_to(store::Transaction& transaction) const {
    const std::string key = keys::of(keys::placements, name_);
    transaction.conditions.push_back({key, 0});
    transaction.operations.emplace_back(
        store::Put{key, model::to_json(model::Placement{host_, 0})});
}

void Placer::look() {
    will_look_ = false;
    const std::set<Waiting> changed = std::exchange(to_look_at_, {});
    Resources free = this->free();
    for (const Waiting& waiting :
         std::exchange(is_to_look_at_all_, false) ? room_.waiting() : changed) {
        const MicroVm* microvm = mirror_.find(waiting.name);
        if (microvm != nullptr && !microvm->placement && !committing_.contains(waiting.name)) {
            look_at(*microvm, free);
        }
    }
}

void Placer::look_at(const MicroVm& microvm, Resources& free) {
    const Resources needs = microvm.spec.resources();
    if (microvm.deletion) {
        forget(microvm);
    } else if (const std::string why = refusal(); !why.empty()) {
        explain(microvm, why);
    } else if (needs.fits(free)) {
        free -= needs;
        place(microvm);
    } else {
        explain(microvm, "there is no room yet: " + say(needs, free));
    }
}

// By now the mirror shows it, or it has failed.
void Placer::committed(const std::string& name) {
    const Resources reserved = committing_.at(name);
    committing_.erase(name);
    on_microvm_changed(name);
    if (reserved != room_.used_by(name)) {
        look_at_all();
    }
}

void Placer::place(const MicroVm& microvm) {
    const std::string key = keys::of(keys::placements, microvm.spec.name);
    store::Transaction transaction;
    transaction.conditions = {{keys::of(keys::microvms, microvm.spec.name), microvm.revision},
                              {key, 0}};
    transaction.operations.emplace_back(
        store::Put{key, model::to_json(model::Placement{settings_.host, 0})});
    committing_[microvm.spec.name] = microvm.spec.resources();
    commit(microvm, std::move(transaction));
}

// Once: how much is free changes all the time.
void Placer::explain(const MicroVm& microvm, const std::string& reason) {
    if (microvm.status && !microvm.status->reason.empty()) {
        return;
    }
    model::MicroVmStatus status;
    status.host = settings_.host;
    status.reason = reason;
    const std::string key = keys::of(keys::statuses, settings_.host + "/" + microvm.spec.name);
    store::Transaction transaction;
    transaction.conditions = {{keys::of(keys::microvms, microvm.spec.name), microvm.revision},
                              {key, microvm.status_revision}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(status)});
    committing_[microvm.spec.name] = {};
    commit(microvm, std::move(transaction));
}

// It never ran.
void Placer::forget(const MicroVm& microvm) {
    store::Transaction transaction;
    transaction.conditions = {{keys::of(keys::microvms, microvm.spec.name), microvm.revision},
                              {keys::of(keys::placements, microvm.spec.name), 0}};
    for (const std::string_view folder : {keys::microvms, keys::deletions}) {
        transaction.operations.emplace_back(store::Delete{keys::of(folder, microvm.spec.name)});
    }
    transaction.operations.emplace_back(
        store::Delete{keys::of(keys::statuses, settings_.host + "/" + microvm.spec.name)});
    committing_[microvm.spec.name] = {};
    commit(microvm, std::move(transaction));
}

void Placer::commit(const MicroVm& microvm, store::Transaction transaction) {
    store_.commit(std::move(transaction), [weak = std::weak_ptr{self_}, name = microvm.spec.name](
                                              store::Result<Revision> result) {
        const auto go_on = [weak, name] {
            if (const auto self = weak.lock()) {
                (*self)->committed(name);
            }
        };
        const auto self = weak.lock();
        if (!self) {
            return;
        }
        if (result) {
            return (*self)->mirror_.when(*result, go_on);
        }
        (*self)->loop_.call_after(retry_delay, go_on);
    });
}

}  // namespace shoal::node
