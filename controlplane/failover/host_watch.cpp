// Heartbeats come by the watch; each answered probe is a look at all hosts.
#include "controlplane/failover/host_watch.h"

#include <utility>
#include <vector>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"

namespace shoal::failover {

HostWatch::HostWatch(store::EventLoop& loop, store::Store& store, Leadership& leadership,
                     HostWatchListener& listener, HostWatchTimes times, const SilenceRecord* record)
    : loop_{loop},
      store_{store},
      leadership_{leadership},
      listener_{listener},
      times_{times},
      record_{record},
      gate_{times.takeover},
      follower_{loop, store, std::string{model::keys::heartbeats}, *this},
      probe_{loop, store, times.look,
             [this](const store::Result<store::Lookup>& leader) { on_probed(leader); }} {}

void HostWatch::start() {
    follower_.list();
    probe_.ask();
}

void HostWatch::on_probed(const store::Result<store::Lookup>& leader) {
    const auto guard = leadership_.guard();
    const bool leads =
        leader && leader->entry && guard && leader->entry->mod_revision == guard->mod_revision;
    if (leads && follower_.is_synced()) {
        look();
    }
    if (leader && !leads) {
        leadership_.check();  // which may be the end of this
    }
}

void HostWatch::look() {
    const Time now = loop_.now();
    std::size_t hosts = 0;
    std::size_t silent = 0;
    std::vector<const std::string*> ripe;
    for (auto& [host, seen] : hosts_) {
        if (seen.heartbeat.sequence == 0) {
            continue;
        }
        ++hosts;
        if (look_at(host, seen, now)) {
            ripe.push_back(&host);
        }
        silent += seen.told == Presence::suspected ? 1U : 0U;
    }
    gate_.look(silent, hosts);
    if (gate_.is_stopped() != std::exchange(was_stopped_, gate_.is_stopped())) {
        listener_.on_failover_stopped(gate_.reason());
    }
    for (const std::string* host : ripe) {
        if (gate_.try_take(now)) {
            take(*host, hosts_.at(*host));
        }
    }
}

bool HostWatch::look_at(const std::string& host, Seen& seen, Time now) {
    const bool is_ripe = seen.silence.look(now);
    if (seen.silence.silent_for() > seen.silence.deadline() / 2) {
        tell(host, seen, Presence::suspected);
    }
    return is_ripe && !seen.is_taking;
}

void HostWatch::take(const std::string& host, Seen& seen) {
    const auto guard = leadership_.guard();
    if (!guard) {
        return;
    }
    seen.is_taking = true;
    const model::Heartbeat vacant{seen.heartbeat.epoch + 1, 0};
    const std::string key = model::keys::of(model::keys::heartbeats, host);
    store::Transaction transaction;
    transaction.conditions = {*guard, {key, seen.revision}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(vacant)});
    store_.commit(std::move(transaction), [weak = std::weak_ptr{self_}, host,
                                           vacant](store::Result<store::Revision> result) {
        if (const auto self = weak.lock()) {
            (*self)->on_taken(host, vacant, std::move(result));
        }
    });
}

void HostWatch::on_taken(const std::string& host, model::Heartbeat heartbeat,
                         store::Result<store::Revision> result) {
    const auto found = hosts_.find(host);
    if (found == hosts_.end()) {
        return;
    }
    Seen& seen = found->second;
    seen.is_taking = false;
    if (!result) {
        // A heartbeat overtook it, another leader did, or nobody knows: the watch will tell.
        return leadership_.check();
    }
    // The watch may have told already, also of what came after.
    if (*result > seen.revision) {
        seen.heartbeat = heartbeat;
        seen.revision = *result;
        tell(host, seen, Presence::vacant);
    }
}

void HostWatch::tell(const std::string& host, Seen& seen, Presence presence) {
    if (std::exchange(seen.told, presence) != presence || presence == Presence::vacant) {
        listener_.on_presence(host, presence, seen.heartbeat.epoch);
    }
}

void HostWatch::on_entry(const std::string& name, const store::Entry& entry) {
    model::Heartbeat heartbeat;
    try {
        heartbeat = model::from_json<model::Heartbeat>(entry.value, model::UnknownFields::ignored);
    } catch (const model::JsonError&) {
        return;  // Damaged: as if it had not been sent.
    }
    const auto [found, is_new] = hosts_.try_emplace(name);
    Seen& seen = found->second;
    if (is_new) {
        const auto* seen_before = record_ != nullptr ? record_->find(name) : nullptr;
        seen.silence = seen_before != nullptr ? *seen_before : HostSilence{times_.silence};
    }
    if (!is_new && entry.mod_revision <= seen.revision) {
        return;
    }
    const bool is_same_epoch = seen.heartbeat.epoch == heartbeat.epoch;
    seen.heartbeat = heartbeat;
    seen.revision = entry.mod_revision;
    seen.silence.hear(seen.revision, heartbeat, loop_.now());
    const Presence presence = heartbeat.sequence == 0 ? Presence::vacant : Presence::alive;
    if (!is_same_epoch && presence == seen.told) {
        listener_.on_presence(name, presence, heartbeat.epoch);
    } else {
        tell(name, seen, presence);
    }
}

void HostWatch::on_gone(const std::string& name) {
    const auto found = hosts_.find(name);
    if (found != hosts_.end()) {
        listener_.on_presence(name, Presence::vacant, found->second.heartbeat.epoch);
        hosts_.erase(found);
    }
}

void HostWatch::on_synced() {
    listener_.on_hosts_known();
}

}  // namespace shoal::failover
