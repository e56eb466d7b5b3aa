// Each step brings the next one; a step that fails ends the save.
#include "controlplane/node/checkpoint/checkpointer.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "controlplane/checkpoint/checkpoint_folder.h"
#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/checkpoint/checkpoint_hosts.h"
#include "controlplane/node/rfc3339.h"
#include "devices/host/file_size.h"
#include "devices/host/log.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;
using checkpoints::CheckpointFolder;
using checkpoints::CheckpointId;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t max_reason_bytes = 1024;  // of a record's field
constexpr milliseconds tick_period{100};
// Behind one that failed, or sooner.
constexpr seconds longest_retry{5};

}  // namespace

template <typename Task>
auto Checkpointer::guarded(Task task) {
    return [weak = std::weak_ptr{self_}, task = std::move(task)](auto&&... args) {
        if (const auto self = weak.lock()) {
            task(std::forward<decltype(args)>(args)...);
        }
    };
}

void Checkpointer::start() {
    for (const auto& [name, microvm] : parts_.mirror.microvms()) {
        on_microvm_changed(name);
    }
}

bool Checkpointer::is_mine(const std::string& name, const MicroVm& microvm) const {
    return !microvm.deletion && !microvm.move && microvm.placement &&
           microvm.placement->host == host_ && microvm.status &&
           microvm.status->phase == model::Phase::running &&
           microvm.spec.on_host_failure == model::HostFailurePolicy::restore &&
           parts_.runner.observe(attempt_of(name, microvm)).state == AttemptState::running;
}

model::CheckpointPlan Checkpointer::plan_of(const MicroVm& microvm) {
    return microvm.spec.checkpoint.value_or(model::CheckpointPlan{});
}

// None, for one that is gone.
Checkpointer::Duration Checkpointer::interval_of(const std::string& name) const {
    const MicroVm* microvm = parts_.mirror.find(name);
    return microvm == nullptr ? Duration{} : seconds{plan_of(*microvm).interval_s};
}

void Checkpointer::on_microvm_changed(const std::string& name) {
    const MicroVm* microvm = parts_.mirror.find(name);
    const auto state = states_.find(name);
    const bool is_wanted = microvm != nullptr && is_mine(name, *microvm);
    if (is_wanted && state == states_.end()) {
        states_[name].due = parts_.loop.now() + interval_of(name);
        if (!std::exchange(is_ticking_, true)) {
            tick_later();
        }
    } else if (!is_wanted && state != states_.end() && !state->second.is_busy) {
        states_.erase(state);
    }
}

void Checkpointer::tick_later() {
    parts_.loop.call_after(tick_period, guarded([this] { tick(); }));
}

// For as long as there is somebody to save.
void Checkpointer::tick() {
    is_ticking_ = !states_.empty();
    if (!is_ticking_) {
        return;
    }
    tick_later();
    while (busy_ < max_at_once) {
        auto next = states_.end();
        for (auto entry = states_.begin(); entry != states_.end(); ++entry) {
            if (!entry->second.is_busy && entry->second.due <= parts_.loop.now() &&
                (next == states_.end() || entry->second.due < next->second.due)) {
                next = entry;
            }
        }
        if (next == states_.end()) {
            return;
        }
        next->second.is_busy = true;
        ++busy_;
        begin(next->first, next->second);
    }
}

void Checkpointer::begin(const std::string& name, State& state) {
    const MicroVm* wanted = parts_.mirror.find(name);
    if (wanted == nullptr || !is_mine(name, *wanted)) {
        return end(name, {}, {});
    }
    const MicroVm& microvm = *wanted;
    const auto saving = std::make_shared<Saving>();
    Shipment& shipment = saving->shipment;
    shipment.id = {name, microvm.placement_revision,
                   microvm.checkpoint.value_or(model::Checkpoint{}).generation + 1};
    shipment.hosts = choose_holders(parts_.mirror.hosts(), host_, name, plan_of(microvm).copies,
                                    parts_.loop.now());
    saving->socket = parts_.runner.api_socket_of(attempt_of(name, microvm));
    saving->status_revision = microvm.status_revision;
    if (shipment.hosts.empty()) {
        return fail(saving, "no other host can keep its checkpoint");
    }
    shipment.drives = microvm.spec.volumes.size();
    shipment.base = base_for(microvm, state, shipment.hosts);
    try {
        // Where alone its VMM makes files.
        shipment.folder =
            parts_.outlet.make_folder(parts_.runner.save_folder_of(attempt_of(name, microvm)),
                                      size_of(microvm, shipment.base.has_value()));
    } catch (const std::runtime_error& error) {
        return fail(saving, error.what());
    }
    order(saving);
}

// What is written to volumes between two is not known beforehand.
std::uint64_t Checkpointer::size_of(const MicroVm& microvm, bool is_difference) const {
    std::uint64_t bytes = microvm.spec.memory_mib << 20;
    const auto& all = parts_.mirror.objects().volumes;
    for (const std::string& name : microvm.spec.volumes) {
        if (const auto found = all.find(name); found != all.end() && !is_difference) {
            bytes +=
                host::allocated_bytes(parts_.volumes.path_of({name, found->second.body.takeovers}));
        }
    }
    return bytes;
}

// A difference is made only to what the store has as its checkpoint, and to hosts that have that.
std::optional<CheckpointId> Checkpointer::base_for(const MicroVm& microvm, const State& state,
                                                   const std::vector<std::string>& hosts) const {
    const auto& latest = state.latest;
    const bool is_recorded = latest && microvm.checkpoint &&
                             microvm.checkpoint->placement == latest->id.placement &&
                             microvm.checkpoint->generation == latest->id.generation &&
                             microvm.placement_revision == latest->id.placement;
    const bool have_it = is_recorded && std::ranges::all_of(hosts, [&](const std::string& host) {
                             return std::ranges::find(latest->hosts, host) != latest->hosts.end();
                         });
    return have_it ? std::optional{latest->id} : std::nullopt;
}

void Checkpointer::order(const SavingRef& saving) {
    const Shipment& shipment = saving->shipment;
    saving->taken_at = to_rfc3339(wall_clock_ms());
    SnapshotOrder order{saving->socket, CheckpointFolder::state_in(shipment.folder),
                        CheckpointFolder::memory_in(shipment.folder),
                        shipment.base ? SnapshotKind::difference : SnapshotKind::whole};
    for (std::size_t drive = 0; drive < shipment.drives; ++drive) {
        order.drives.push_back(CheckpointFolder::drive_in(shipment.folder, drive));
    }
    take_snapshot(parts_.loop, parts_.client, std::move(order), self_,
                  guarded([this, saving](const SnapshotTaken& taken) { on_taken(saving, taken); }));
}

void Checkpointer::on_taken(const SavingRef& saving, const SnapshotTaken& taken) {
    if (!taken.failure.empty()) {
        return fail(saving, taken.failure);
    }
    saving->pause_us = taken.pause_us;
    parts_.outlet.ship(saving->shipment, guarded([this, saving](const Shipped& shipped) {
                           on_shipped(saving, shipped);
                       }));
}

void Checkpointer::on_shipped(const SavingRef& saving, const Shipped& shipped) {
    if (!shipped.failure.empty()) {
        return fail(saving, shipped.failure);
    }
    record(saving, shipped.sent_bytes);
}

// The guest may have ended, moved or lost its host meanwhile: then this is nobody's checkpoint.
void Checkpointer::record(const SavingRef& saving, std::uint64_t sent_bytes) {
    const CheckpointId& id = saving->shipment.id;
    const MicroVm* microvm = parts_.mirror.find(id.microvm);
    const auto self = parts_.mirror.hosts().find(host_);
    if (microvm == nullptr || self == parts_.mirror.hosts().end()) {
        return on_recorded(saving, false);
    }
    const model::Checkpoint checkpoint{
        id.placement,     id.generation, saving->shipment.hosts, self->second.host.cpu_model,
        saving->taken_at, sent_bytes,    saving->pause_us,       {}};
    const std::string key = keys::of(keys::checkpoints, id.microvm);
    store::Transaction transaction;
    transaction.conditions = {
        {keys::of(keys::placements, id.microvm), id.placement},
        {keys::of(keys::statuses, host_, id.microvm), saving->status_revision},
        {key, microvm->checkpoint_revision}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(checkpoint)});
    parts_.store.commit(std::move(transaction),
                        guarded([this, saving](const store::Result<Revision>& result) {
                            on_recorded(saving, result.has_value());
                        }));
}

void Checkpointer::on_recorded(const SavingRef& saving, bool is_recorded) {
    const Shipment& shipment = saving->shipment;
    parts_.outlet.delete_folder(shipment.folder);
    const Duration delay = interval_of(shipment.id.microvm);
    end(shipment.id.microvm,
        is_recorded ? std::optional{Latest{shipment.id, shipment.hosts}} : std::nullopt,
        is_recorded ? delay : std::min<Duration>(delay, longest_retry));
}

void Checkpointer::fail(const SavingRef& saving, const std::string& reason) {
    const std::string& name = saving->shipment.id.microvm;
    host::log(host::LogLevel::warn, name + " has no new checkpoint: " + reason);
    if (!saving->shipment.folder.empty()) {
        parts_.outlet.delete_folder(saving->shipment.folder);
    }
    tell_failure(name, reason);
    end(name, {}, std::min<Duration>(interval_of(name), longest_retry));
}

// Once for each reason.
void Checkpointer::tell_failure(const std::string& name, const std::string& reason) {
    const MicroVm* told = parts_.mirror.find(name);
    if (told == nullptr || !is_mine(name, *told)) {
        return;
    }
    const MicroVm& microvm = *told;
    model::Checkpoint checkpoint = microvm.checkpoint.value_or(model::Checkpoint{});
    const std::string text = reason.substr(0, max_reason_bytes);
    if (checkpoint.failure == text) {
        return;
    }
    checkpoint.failure = text;
    const std::string key = keys::of(keys::checkpoints, name);
    store::Transaction transaction;
    transaction.conditions = {{keys::of(keys::placements, name), microvm.placement_revision},
                              {key, microvm.checkpoint_revision}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(checkpoint)});
    // If it is not told, it is told when it fails again.
    parts_.store.commit(std::move(transaction), [](const store::Result<Revision>&) {});
}

void Checkpointer::end(const std::string& name, std::optional<Latest> latest, Duration delay) {
    --busy_;
    State& state = states_.at(name);
    state.is_busy = false;
    state.latest = std::move(latest);
    state.due = parts_.loop.now() + delay;
    on_microvm_changed(name);
}

}  // namespace shoal::node
