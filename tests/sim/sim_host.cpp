// What a host does about its assignments, with delays where a real one has them.
#include "tests/sim/sim_host.h"

#include <utility>
#include <vector>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/model/volume.h"

namespace shoal::sim {

namespace keys = model::keys;
using namespace std::chrono_literals;

// The process. All it knows is lost with it, but for what SimHost keeps.
class SimHost::Agent final : failover::HeartbeatListener, failover::FolderListener {
public:
    explicit Agent(SimHost& host)
        : host_{host},
          loop_{host.server_.timeline(), host.settings_.clock},
          link_{host.server_, loop_},
          heartbeat_{loop_, link_, host.name(), *this, {.deadline = host.settings_.deadline}},
          assignments_{loop_, link_, std::string{keys::assignments} + host.name() + "/", *this} {
        link_.set(host.link_);
        if (host.settings_.may_lead) {
            leader_.emplace(loop_, link_, host.name(), host.settings_.controller);
        }
    }

    void start() {
        store::Put facts{keys::of(keys::hosts, host_.name()),
                         model::to_json(host_.settings_.facts)};
        link_.put(std::move(facts), [this](const store::Result<store::Revision>& result) {
            if (!result) {
                return loop_.call_after(500ms, [this] { start(); });
            }
            heartbeat_.start(host_.kept_);
            assignments_.list();
            if (leader_) {
                leader_->start();
            }
        });
    }
    [[nodiscard]] VirtualLoop& loop() noexcept { return loop_; }
    [[nodiscard]] Link& link() noexcept { return link_; }
    [[nodiscard]] scheduler::Controller* controller() {
        return leader_ ? leader_->controller() : nullptr;
    }

private:
    struct Work {
        model::Assignment assignment;
        store::Revision placement = 0;  // its revision
        store::Revision status = 0;     // the status's, as it was last known
        bool is_busy = false;
        bool is_told = false;  // that it ended
    };

    void on_joined(model::Epoch epoch) override {
        host_.kept_ = epoch;
        look_at_all();
    }
    void on_extended(Time until) override {
        host_.runs_until_ = std::max(host_.runs_until_.value_or(until), until);
    }
    void on_lost() override {
        loop_.call_after(dice().between(10ms, 300ms), [this] {
            while (!host_.vms_.empty()) {
                host_.unload(std::string{host_.vms_.begin()->first});
            }
            // Not before all are gone: a new epoch's time would let them run on.
            host_.finished_.clear();
            host_.runs_until_.reset();
            host_.kept_.reset();
            heartbeat_.rejoin();
        });
    }

    void on_name_taken() override {
        throw Violation{"host " + host_.name() + " is taken for another of its name"};
    }

    void on_entry(const std::string& name, const store::Entry& entry) override {
        Work& work = work_[name];
        work.assignment = model::from_json<model::Assignment>(entry.value);
        work.placement = entry.create_revision;
        look_at(name);
    }
    void on_gone(const std::string& name) override {
        work_.erase(name);
        look_at(name);
    }
    void on_synced() override { look_at_all(); }

    void look_at_all() {
        if (!assignments_.is_synced()) {
            return;
        }
        std::vector<std::string> names;
        for (const auto& [name, work] : work_) {
            names.push_back(name);
        }
        for (const auto& [name, vm] : host_.vms_) {
            if (!work_.contains(name)) {
                names.push_back(name);
            }
        }
        for (const std::string& name : names) {
            look_at(name);
        }
    }

    void look_at(const std::string& name) {
        const auto found = work_.find(name);
        if (found == work_.end()) {
            if (assignments_.is_synced()) {
                host_.unload(name);  // Nobody's any more.
            }
            return;
        }
        Work& work = found->second;
        if (work.is_busy || !heartbeat_.epoch() || work.assignment.epoch != heartbeat_.epoch()) {
            return;
        }
        const bool is_here = host_.holds(name);
        if (work.assignment.wanted == model::Assignment::Wanted::stop) {
            work.is_busy = true;
            loop_.call_after(dice().between(5ms, 100ms), [this, name] { stop(name); });
        } else if (host_.finished_.contains(name)) {
            // The agent before this one may not have told.
            if (!std::exchange(work.is_told, true)) {
                tell(name, model::Phase::succeeded);
            }
        } else if (!is_here) {
            work.is_busy = true;
            link_.get(keys::of(keys::microvms, name), [this, name](const auto& lookup) {
                lookup && lookup->entry ? find_checkpoint(name, lookup->entry->value) : later(name);
            });
        }
    }
    void later(const std::string& name) {
        loop_.call_after(500ms, [this, name] {
            if (const auto found = work_.find(name); found != work_.end()) {
                found->second.is_busy = false;
            }
            look_at(name);
        });
    }

    void find_checkpoint(const std::string& name, const std::string& value) {
        link_.get(
            keys::of(keys::checkpoints, name),
            [this, name, spec = model::from_json<model::MicroVmSpec>(value)](const auto& lookup) {
                if (!lookup) {
                    return later(name);
                }
                spec.volumes.empty() ? start_soon(name, spec, *lookup)
                                     : find_volume(name, spec, *lookup);
            });
    }
    // It comes along with a checkpoint; without one, whoever does not have it gives the microVM
    // back.
    void find_volume(const std::string& name, const model::MicroVmSpec& spec,
                     const store::Lookup& record) {
        link_.get(keys::of(keys::volumes, spec.volumes[0]), [this, name, spec,
                                                             record](const auto& lookup) {
            if (!lookup || !lookup->entry || !work_.contains(name)) {
                return later(name);
            }
            const auto volume = model::from_json<model::Volume>(lookup->entry->value);
            if (record.entry) {
                loop_.call_after(dice().between(5ms, 2s), [=, this, entry = *lookup->entry] {
                    take_over(name, spec, record, entry);
                });
            } else if (volume.host == host_.name()) {
                start_soon(name, spec, record);
            } else {
                stop(name);
            }
        });
    }
    // As node/checkpoint/volume_takeover.cpp does it.
    void take_over(const std::string& name, const model::MicroVmSpec& spec,
                   const store::Lookup& record, const store::Entry& entry) {
        const auto found = work_.find(name);
        if (found == work_.end()) {
            return;
        }
        auto volume = model::from_json<model::Volume>(entry.value);
        volume.host = host_.name();
        ++volume.takeovers;
        store::Transaction transaction;
        transaction.conditions = {{keys::of(keys::placements, name), found->second.placement},
                                  {keys::of(keys::checkpoints, name), record.entry->mod_revision},
                                  {entry.key, entry.mod_revision}};
        transaction.operations.emplace_back(store::Put{entry.key, model::to_json(volume)});
        link_.commit(std::move(transaction), [this, name, spec, record](const auto& result) {
            result ? start_soon(name, spec, record) : later(name);
        });
    }
    void start_soon(const std::string& name, const model::MicroVmSpec& spec,
                    const store::Lookup& record) {
        const auto generation =
            record.entry ? model::from_json<model::Checkpoint>(record.entry->value).generation : 0;
        loop_.call_after(dice().between(2ms, 50ms),
                         [this, name, spec, generation] { start_now(name, spec, generation); });
    }
    void start_now(const std::string& name, const model::MicroVmSpec& spec,
                   std::uint64_t generation) {
        const auto found = work_.find(name);
        if (found == work_.end()) {
            return;
        }
        const bool may_run = heartbeat_.epoch() == found->second.assignment.epoch &&
                             heartbeat_.state(loop_.now()) == failover::HostFence::State::running;
        if (!may_run || host_.holds(name)) {
            return later(name);
        }
        host_.load(name, spec.resources(), generation);
        found->second.is_busy = false;
        tell(name, model::Phase::running);
        if (spec.on_host_failure == model::HostFailurePolicy::restore) {
            save_later(name, host_.vms_.at(name).load);
        }
        if (spec.time_limit_s) {
            loop_.call_after(std::chrono::seconds{*spec.time_limit_s},
                             [this, name, load = host_.vms_.at(name).load] {
                                 const auto vm = host_.vms_.find(name);
                                 if (vm != host_.vms_.end() && vm->second.load == load &&
                                     host_.is_running_now()) {
                                     finish(name);
                                 }
                             });
        }
        look_at(name);
    }
    // For as long as this load of it is here.
    void save_later(const std::string& name, std::uint64_t load) {
        loop_.call_after(dice().between(500ms, 3s), [this, name, load] {
            const auto vm = host_.vms_.find(name);
            if (vm != host_.vms_.end() && vm->second.load == load) {
                save(name);
                save_later(name, load);
            }
        });
    }
    // As node/checkpointer.cpp does it; between the look and the commit the copies are sent.
    void save(const std::string& name) {
        link_.get(keys::of(keys::checkpoints, name), [this, name](const auto& lookup) {
            if (lookup && work_.contains(name) && work_[name].status != 0) {
                loop_.call_after(dice().between(10ms, 2s),
                                 [this, name, work = work_[name], record = lookup->entry] {
                                     commit_save(name, work, record);
                                 });
            }
        });
    }
    void commit_save(const std::string& name, const Work& work,
                     const std::optional<store::Entry>& record) {
        model::Checkpoint checkpoint;
        checkpoint.placement = work.placement;
        checkpoint.generation =
            record ? model::from_json<model::Checkpoint>(record->value).generation + 1 : 1;
        checkpoint.hosts = {"h" + std::to_string(dice().below(5))};
        const std::string key = keys::of(keys::checkpoints, name);
        store::Transaction transaction;
        transaction.conditions = {{keys::of(keys::placements, name), work.placement},
                                  {keys::of(keys::statuses, host_.name(), name), work.status},
                                  {key, record ? record->mod_revision : 0}};
        transaction.operations.emplace_back(store::Put{key, model::to_json(checkpoint)});
        link_.commit(std::move(transaction), [](const auto&) {});
    }
    void finish(const std::string& name) {
        host_.unload(name);
        host_.finished_.insert(name);
        look_at(name);
    }
    // Until it is told, or not asked for any more.
    void tell(const std::string& name, model::Phase phase) {
        const auto found = work_.find(name);
        if (found == work_.end()) {
            return;
        }
        model::MicroVmStatus status;
        status.phase = phase;
        status.host = host_.name();
        status.epoch = found->second.assignment.epoch;
        store::Transaction transaction;
        const std::string key = keys::of(keys::statuses, host_.name(), name);
        transaction.conditions = {{keys::of(keys::placements, name), found->second.placement},
                                  {key, found->second.status}};
        transaction.operations.emplace_back(store::Put{key, model::to_json(status)});
        if (phase == model::Phase::succeeded) {
            transaction.operations.emplace_back(store::Delete{keys::of(keys::checkpoints, name)});
        }
        link_.commit(std::move(transaction), [this, name, phase](const auto& result) {
            const auto told = work_.find(name);
            const bool is_current =
                (phase == model::Phase::succeeded) == host_.finished_.contains(name);
            if (told != work_.end() && result) {
                told->second.status = *result;
            } else if (told != work_.end() && is_current) {
                loop_.call_after(500ms, [this, name, phase] { tell_again(name, phase); });
            }
        });
    }
    // What was sent before may have been done, or may still be.
    void tell_again(const std::string& name, model::Phase phase) {
        link_.get(keys::of(keys::statuses, host_.name(), name), [this, name,
                                                                 phase](const auto& lookup) {
            const auto found = work_.find(name);
            if (found == work_.end()) {
                return;
            }
            if (!lookup) {
                return loop_.call_after(500ms, [this, name, phase] { tell_again(name, phase); });
            }
            found->second.status = lookup->entry ? lookup->entry->mod_revision : 0;
            tell(name, phase);
        });
    }
    void stop(const std::string& name) {
        host_.unload(name);
        const auto found = work_.find(name);
        if (found == work_.end()) {
            return;
        }
        store::Transaction transaction;
        transaction.conditions.push_back(
            {keys::of(keys::placements, name), found->second.placement});
        for (const std::string& key :
             {keys::of(keys::placements, name), keys::of(keys::assignments, host_.name(), name),
              keys::of(keys::statuses, host_.name(), name), keys::of(keys::checkpoints, name)}) {
            transaction.operations.emplace_back(store::Delete{key});
        }
        host_.finished_.erase(name);
        link_.commit(std::move(transaction), [this, name](const auto& result) {
            if (!result) {
                later(name);
            }
        });
    }
    [[nodiscard]] Dice& dice() { return host_.server_.dice(); }

    SimHost& host_;
    VirtualLoop loop_;
    Link link_;
    std::map<std::string, Work> work_;
    failover::HostHeartbeat heartbeat_;
    failover::FolderFollower assignments_;
    std::optional<scheduler::Leader> leader_;
};

SimHost::SimHost(Server& server, Truth& truth, HostSettings settings)
    : server_{server},
      truth_{truth},
      settings_{std::move(settings)},
      clock_{server.timeline(), settings_.clock} {
    start_agent();
}

SimHost::~SimHost() {
    kill();
}

bool SimHost::is_running_now() const {
    return settings_.has_no_fence || (runs_until_ && clock_.now() < *runs_until_);
}

scheduler::Controller* SimHost::controller() {
    return agent_ ? agent_->controller() : nullptr;
}

bool SimHost::is_healthy() const {
    return agent_ && link_ == Link::State::up && server_.timeline().now() >= frozen_until_;
}

std::optional<Time> SimHost::runs_until() const {
    return runs_until_ ? std::optional{clock_.true_time(*runs_until_)} : std::nullopt;
}

bool SimHost::is_committing() const {
    return agent_ && agent_->link().is_committing();
}

void SimHost::start_agent() {
    if (!agent_) {
        agent_ = std::make_unique<Agent>(*this);
        agent_->start();
    }
}

void SimHost::kill_agent() {
    agent_.reset();
}

void SimHost::freeze_agent(Time until) {
    if (agent_) {
        agent_->loop().stop_until(until);
        frozen_until_ = until;
    }
}

void SimHost::kill() {
    agent_.reset();
    while (!vms_.empty()) {
        unload(std::string{vms_.begin()->first});
    }
    finished_.clear();
    kept_.reset();
    runs_until_.reset();
    settings_.clock.offset -= clock_.now();
    clock_.set_clock(settings_.clock);
}

void SimHost::set_link(Link::State state) {
    link_ = state;
    if (agent_) {
        agent_->link().set(state);
    }
}

void SimHost::load(const std::string& microvm, const model::Resources& resources,
                   std::uint64_t generation) {
    vms_[microvm] = {resources, ++load_count_, generation};
    used_ += resources;
    if (!used_.fits(settings_.facts.allocatable)) {
        throw Violation{"host " + name() + " holds more than its capacity"};
    }
    truth_.loaded(microvm, *this, generation);
}

void SimHost::unload(const std::string& microvm) {
    const auto found = vms_.find(microvm);
    if (found != vms_.end()) {
        used_ -= found->second.resources;
        vms_.erase(found);
        truth_.unloaded(microvm, *this);
    }
}

}  // namespace shoal::sim
