// Heartbeats come by the watch; each answered probe is a look at all hosts.
#include "controlplane/failover/silence_record.h"

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

std::optional<HostSilence> SilenceRecord::find(const std::string& host,
                                               store::Revision revision) const {
    const auto found = hosts_.find(host);
    return found != hosts_.end() && found->second.revision == revision
               ? std::optional{found->second.silence}
               : std::nullopt;
}

Time SilenceRecord::silent_for(const std::string& host, Time settling) const {
    const auto found = hosts_.find(host);
    return found != hosts_.end() ? found->second.silence.silent_for(settling) : Time{};
}

void SilenceRecord::look() {
    for (auto& [host, seen] : hosts_) {
        // Whether it is long enough is asked by who leads.
        static_cast<void>(seen.silence.look(seen.revision, loop_.now()));
    }
}

void SilenceRecord::on_entry(const std::string& name, const store::Entry& entry) {
    const auto [found, is_new] = hosts_.try_emplace(name);
    if (is_new) {
        found->second.silence = HostSilence{limits_};
    }
    found->second.revision = entry.mod_revision;
    found->second.silence.hear(entry.mod_revision, loop_.now());
}

}  // namespace shoal::failover
