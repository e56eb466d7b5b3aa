// Heartbeats come by the watch; each answered probe is a look at all hosts.
#include "controlplane/failover/silence_record.h"

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"

namespace shoal::failover {

SilenceRecord::SilenceRecord(store::EventLoop& loop, store::Store& store, SilenceLimits limits,
                             Time period)
    : loop_{loop},
      limits_{limits},
      follower_{loop, store, std::string{model::keys::heartbeats}, *this},
      probe_{loop, store, period, [this](const store::Result<store::Lookup>& leader) {
                 if (leader && follower_.is_synced()) {
                     look();
                 }
             }} {}

void SilenceRecord::start() {
    follower_.list();
    probe_.ask();
}

const HostSilence* SilenceRecord::find(const std::string& host) const {
    const auto found = hosts_.find(host);
    return found != hosts_.end() ? &found->second : nullptr;
}

void SilenceRecord::look() {
    for (auto& [host, silence] : hosts_) {
        // Whether it is long enough is asked by who leads.
        static_cast<void>(silence.look(loop_.now()));
    }
}

void SilenceRecord::on_entry(const std::string& name, const store::Entry& entry) {
    try {
        const auto heartbeat =
            model::from_json<model::Heartbeat>(entry.value, model::UnknownFields::ignored);
        hosts_.try_emplace(name, limits_)
            .first->second.hear(entry.mod_revision, heartbeat, loop_.now());
    } catch (const model::JsonError&) {
        // Damaged: as if it had not been sent.
    }
}

}  // namespace shoal::failover
