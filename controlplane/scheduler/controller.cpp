// One tick: losses first, which make microVMs pending, and placing last.
#include "controlplane/scheduler/controller.h"

#include <algorithm>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "devices/host/log.h"

namespace shoal::scheduler {

namespace {

namespace keys = model::keys;

// Up to 6 operations and 3 conditions for each, of 127 and 128 in all (store/limits.h).
constexpr std::size_t microvms_in_transaction = 21;
constexpr std::size_t reasons_in_tick = 100;
constexpr std::chrono::seconds idle_period{1};

store::Delete delete_reason(const std::string& name) {
    return {keys::of(keys::statuses, keys::no_host, name)};
}

}  // namespace

Controller::Controller(store::EventLoop& loop, store::Store& store,
                       failover::Leadership& leadership, ControllerSettings settings,
                       const failover::SilenceRecord* record)
    : loop_{loop},
      store_{store},
      leadership_{leadership},
      settings_{settings},
      catalog_{loop, store, *this},
      scheduler_{catalog_.cluster(), settings.seed, settings.scheduler},
      watch_{loop, store, leadership, *this, settings.watch, record},
      moves_{catalog_.cluster(), settings.moves} {}

void Controller::start() {
    catalog_.start();
    watch_.start();
    tick();
}

void Controller::on_presence(const std::string& host, failover::Presence presence,
                             model::Epoch epoch) {
    catalog_.set_presence(host, presence, epoch);
}

void Controller::on_failover_stopped(const std::string& reason) {
    stopped_ = reason;
    has_work_ = true;
    host::log(host::LogLevel::warn, reason.empty() ? "failover goes on" : reason);
}

// A leader before this one may have said it.
void Controller::tell_failover() {
    if (told_stopped_ == stopped_) {
        return;
    }
    told_stopped_ = stopped_;
    const std::string key{keys::failover};
    store::Transaction transaction;
    if (stopped_.empty()) {
        transaction.operations.emplace_back(store::Delete{key});
    } else {
        transaction.operations.emplace_back(
            store::Put{key, model::to_json(model::Failover{stopped_})});
    }
    commit({}, std::move(transaction));
}

void Controller::tick() {
    loop_.call_after(settings_.period, [weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->tick();
        }
    });
    const bool is_due = has_work_ || loop_.now() - looked_at_ >= idle_period;
    if (!is_due || !catalog_.is_ready() || !leadership_.guard() ||
        in_flight_ >= settings_.transactions_in_flight) {
        return;
    }
    has_work_ = false;
    looked_at_ = loop_.now();
    for (const std::string& name : catalog_.take_unwanted()) {
        scheduler_.forget(name);
        told_.erase(name);
    }
    const auto all = [](const Catalog::Names& names) { return Names{names.begin(), names.end()}; };
    tell_failover();
    write(all(catalog_.lost()), [this](auto&... args) { relinquish(args...); });
    write(all(catalog_.to_stop()), [this](auto&... args) { stop(args...); });
    write(all(catalog_.to_forget()), [this](auto&... args) { forget(args...); });
    write(all(catalog_.to_tidy()), [](const std::string& name, MicroVm&, auto& transaction) {
        transaction.operations.emplace_back(delete_reason(name));
    });
    reconcile_moves();
    reconcile_groups();
    if (catalog_.is_ready()) {
        place();
    }
}

void Controller::write(const Names& names, const Writer& writer) {
    for (std::size_t first = 0; first < names.size(); first += microvms_in_transaction) {
        if (in_flight_ >= settings_.transactions_in_flight) {
            has_work_ = true;
            return;
        }
        const auto last = std::min(names.size(), first + microvms_in_transaction);
        Names chunk(names.begin() + static_cast<std::ptrdiff_t>(first),
                    names.begin() + static_cast<std::ptrdiff_t>(last));
        store::Transaction transaction;
        for (const std::string& name : chunk) {
            writer(name, *catalog_.find(name), transaction);
            catalog_.set_flight(name, Flight::sent);
        }
        commit(std::move(chunk), std::move(transaction));
    }
}

void Controller::commit(Names names, store::Transaction transaction) {
    const auto guard = leadership_.guard();
    if (!guard) {
        return on_committed(names, std::unexpected{store::Error{store::Failure::unavailable, {}}});
    }
    transaction.conditions.push_back(*guard);
    ++in_flight_;
    store_.commit(std::move(transaction), [weak = std::weak_ptr{self_}, names = std::move(names)](
                                              const store::Result<store::Revision>& result) {
        if (const auto self = weak.lock()) {
            --(*self)->in_flight_;
            (*self)->on_committed(names, result);
        }
    });
}

// What was written comes back from the store; only then is anything decided about it again.
void Controller::on_committed(const Names& names, const store::Result<store::Revision>& result) {
    has_work_ = true;
    const bool is_undone = !result && result.error().failure == store::Failure::unavailable;
    for (const std::string& name : names) {
        MicroVm* microvm = catalog_.find(name);
        if (microvm == nullptr || microvm->flight != Flight::sent) {
            continue;
        }
        // To tell a host to stop one changes nothing that the catalog reads.
        const bool is_told_to_stop = result.has_value() && microvm->is_stopping;
        microvm->is_stopping = is_told_to_stop;
        catalog_.set_flight(name, is_undone || is_told_to_stop ? Flight::none : Flight::settling);
    }
    if (!result) {
        told_drains_.clear();  // Whatever it was: it is told again.
        told_stopped_.reset();
    }
    if (!result && !is_undone) {
        catalog_.read_again();
        leadership_.check();
    }
}

std::vector<Request> Controller::next_batch() {
    const auto& pending = catalog_.pending();
    auto next = behind_ ? pending.upper_bound(*behind_) : pending.begin();
    std::vector<Request> batch;
    while (next != pending.end() && batch.size() < settings_.batch) {
        const std::string& name = std::get<2>(*next);
        const MicroVm& microvm = *catalog_.find(name);
        const bool is_long = loop_.now() - microvm.waits_since > settings_.long_wait;
        batch.push_back({name, microvm.workload,
                         is_long ? Request::Wait::long_already : Request::Wait::ordinary});
        behind_ = *next;
        ++next;
    }
    if (next == pending.end()) {
        behind_.reset();
    }
    return batch;
}

void Controller::place() {
    if (in_flight_ >= settings_.transactions_in_flight) {
        return;
    }
    const Decision decision = scheduler_.decide(next_batch());
    bound_.clear();
    Names names;
    for (const Binding& binding : decision.bindings) {
        bound_[binding.microvm] = binding.host;
        names.push_back(binding.microvm);
    }
    write(names, [this](auto&... args) { bind(args...); });
    for (const std::string& name : names) {
        const MicroVm* microvm = catalog_.find(name);
        if (microvm->flight == Flight::none) {  // There was no room for its transaction.
            catalog_.cluster().remove(name);
        }
    }
    evict(decision);
    tell_reasons(decision);
    has_work_ = has_work_ || behind_ || !decision.bindings.empty();
}

void Controller::evict(const Decision& decision) {
    Names victims;
    for (const Eviction& eviction : decision.evictions) {
        for (const std::string& victim : eviction.preemption.victims) {
            const MicroVm* microvm = catalog_.find(victim);
            if (microvm != nullptr && microvm->placed && microvm->flight == Flight::none) {
                victims.push_back(victim);
            }
        }
    }
    write(victims, [this](auto&... args) { stop(args...); });
}

void Controller::tell_reasons(const Decision& decision) {
    const failover::Time now = loop_.now();
    store::Transaction transaction;
    for (const Unplaced& unplaced : decision.unplaced) {
        const MicroVm& microvm = *catalog_.find(unplaced.microvm);
        const auto told = told_.find(unplaced.microvm);
        const failover::Time since = told == told_.end() ? microvm.waits_since : told->second.at;
        if (now - since < settings_.reason_interval || told_.size() >= settings_.reasons ||
            (told != told_.end() && told->second.reason == unplaced.reason)) {
            continue;
        }
        told_[unplaced.microvm] = {unplaced.reason, now};
        model::MicroVmStatus status;
        status.reason = unplaced.reason;
        transaction.operations.emplace_back(store::Put{
            keys::of(keys::statuses, keys::no_host, unplaced.microvm), model::to_json(status)});
        if (transaction.operations.size() == reasons_in_tick) {
            break;
        }
    }
    if (!transaction.operations.empty()) {
        commit({}, std::move(transaction));
    }
}

}  // namespace shoal::scheduler
