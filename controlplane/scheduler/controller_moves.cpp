// How the controller has microVMs leave draining hosts, and hosts that are fuller than others. The
// hosts carry a move out by themselves (node/mover.h); the controller begins it, and ends those
// whose destination has died.
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/scheduler/controller.h"
#include "controlplane/scheduler/rebalance_plan.h"

namespace shoal::scheduler {

namespace {

namespace keys = model::keys;

// Of those that cannot leave; there may be thousands.
constexpr std::size_t reasons_told = 100;

}  // namespace

void Controller::reconcile_moves() {
    const auto all = [](const Catalog::Names& names) { return Names{names.begin(), names.end()}; };
    write(all(catalog_.moves_lost()),
          [](const std::string& name, MicroVm& microvm, store::Transaction& transaction) {
              model::Move move = *microvm.move;
              move.is_lost = true;
              move.failure = "its destination " + move.to + " was lost";
              const std::string key = keys::of(keys::moves, name);
              transaction.conditions.push_back({key, microvm.move_revision});
              transaction.operations.emplace_back(store::Put{key, model::to_json(move)});
          });
    write(all(catalog_.moves_to_tidy()),
          [](const std::string& name, MicroVm& microvm, store::Transaction& transaction) {
              const std::string key = keys::of(keys::moves, name);
              transaction.conditions.push_back({key, microvm.move_revision});
              transaction.operations.emplace_back(store::Delete{key});
          });
    follow_moves();
    const Cluster& cluster = catalog_.cluster();
    for (HostIdx host = 0; host < cluster.host_count(); ++host) {
        drain(host);
    }
    rebalance();
}

// Room is held for exactly those that the store has, and those that are about to be there.
void Controller::follow_moves() {
    std::erase_if(being_begun_, [this](const std::string& name) {
        const MicroVm* microvm = catalog_.find(name);
        return microvm == nullptr || microvm->flight == Flight::none;
    });
    for (auto at = followed_.begin(); at != followed_.end();) {
        const auto& [name, from] = *at;
        if (catalog_.moving().contains(name) || being_begun_.contains(name)) {
            ++at;
            continue;
        }
        const MicroVm* microvm = catalog_.find(name);
        if (microvm != nullptr && microvm->placed && microvm->placed->host == from) {
            failed_moves_[name] = loop_.now();
        }
        moves_.end(name);
        at = followed_.erase(at);
    }
    for (const std::string& name : catalog_.moving()) {
        const MicroVm& microvm = *catalog_.find(name);
        const auto to = catalog_.cluster().find_host(microvm.move->to);
        // Of a leader before this one.
        if (!moves_.is_moving(name) && microvm.placed && to &&
            catalog_.cluster().find(name) != nullptr) {
            moves_.begin({name, microvm.placed->host, *to});
            followed_[name] = microvm.placed->host;
        }
    }
    std::erase_if(failed_moves_, [this](const auto& entry) {
        return loop_.now() - entry.second > settings_.move_retry;
    });
}

std::optional<std::string> Controller::why_immovable(const std::string& name) {
    const MicroVm* microvm = catalog_.find(name);
    if (microvm == nullptr || !microvm->placed || microvm->flight != Flight::none) {
        return "it is being placed";
    }
    if (microvm->is_damaged()) {
        return "its record cannot be read";
    }
    const model::Host& host = catalog_.cluster().host(microvm->placed->host).facts;
    if (host.peer_address.empty()) {
        return "host " + host.name + " has no --address for migrations";
    }
    if (!microvm->is_running) {
        return "it does not run";
    }
    if (catalog_.has_volume_of_host(*microvm)) {
        return "its volumes are files of host " + host.name;
    }
    if (failed_moves_.contains(name)) {
        return "its last move failed; it is tried again soon";
    }
    return std::nullopt;
}

void Controller::drain(HostIdx index) {
    const HostState& host = catalog_.cluster().host(index);
    if (host.facts.scheduling != model::Scheduling::draining || !host.is_known) {
        return tell_drain(index, std::nullopt);
    }
    if (host.liveness != Liveness::alive) {
        return;
    }
    const DrainPlan plan =
        plan_drain(catalog_.cluster(), moves_, index,
                   [this](const std::string& microvm) { return why_immovable(microvm); });
    begin_moves(plan.begun);
    model::Drain drain;
    drain.moving = plan.moving + plan.begun.size();
    drain.waiting = plan.waiting;
    for (const Stays& stays : plan.stays) {
        if (drain.stays.size() < reasons_told) {
            drain.stays.push_back(stays.microvm + ": " + stays.reason);
        }
    }
    tell_drain(index, drain);
}

void Controller::rebalance() {
    const bool is_due = settings_.rebalance_period != failover::Time{} &&
                        loop_.now() - rebalanced_at_ >= settings_.rebalance_period;
    if (!is_due || moves_.count() > 0) {
        return;
    }
    rebalanced_at_ = loop_.now();
    begin_moves(plan_rebalance(catalog_.cluster(), moves_, [this](const std::string& microvm) {
        return why_immovable(microvm);
    }));
}

void Controller::begin_moves(const std::vector<Move>& begun) {
    std::unordered_map<std::string, Move> by_name;
    Names names;
    for (const Move& move : begun) {
        by_name[move.microvm] = move;
        names.push_back(move.microvm);
        followed_[move.microvm] = move.from;
        being_begun_.insert(move.microvm);
    }
    write(names, [&](const std::string& name, MicroVm& microvm, store::Transaction& transaction) {
        const Move& move = by_name.at(name);
        const model::Move record{catalog_.cluster().host(move.from).facts.name,
                                 microvm.placed->epoch,
                                 catalog_.cluster().host(move.to).facts.name,
                                 catalog_.epoch_of(move.to),
                                 {},
                                 {},
                                 false};
        transaction.conditions.push_back(
            {keys::of(keys::placements, name), microvm.placed->revision});
        transaction.conditions.push_back({keys::of(keys::moves, name), 0});
        transaction.operations.emplace_back(
            store::Put{keys::of(keys::moves, name), model::to_json(record)});
    });
}

// Only what has changed.
void Controller::tell_drain(HostIdx host, const std::optional<model::Drain>& drain) {
    const auto told = told_drains_.find(host);
    const bool was_told = told != told_drains_.end();
    const store::Revision revision = catalog_.revision_of(host);
    if (was_told ? drain == told->second.drain && revision == told->second.revision : !drain) {
        return;
    }
    const std::string key = keys::of(keys::drains, catalog_.cluster().host(host).facts.name);
    store::Transaction transaction;
    if (drain) {
        told_drains_[host] = {*drain, revision};
        transaction.operations.emplace_back(store::Put{key, model::to_json(*drain)});
    } else {
        told_drains_.erase(told);
        transaction.operations.emplace_back(store::Delete{key});
    }
    commit({}, std::move(transaction));
}

}  // namespace shoal::scheduler
