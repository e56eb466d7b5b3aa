// Heartbeats come by the watch; each answered probe is a look at all hosts.
#include "controlplane/failover/silence_record.h"

#include "controlplane/model/keys.h"

namespace shoal::failover {

SilenceRecord::SilenceRecord(store::EventLoop& loop, store::Store& store, SilenceLimits limits,
                             Time period)
    : loop_{loop},
      store_{store},
      limits_{limits},
      period_{period},
      follower_{loop, store, std::string{model::keys::heartbeats}, *this} {}

void SilenceRecord::start() {
    follower_.list();
    probe();
}

std::optional<HostSilence> SilenceRecord::find(const std::string& host,
                                               store::Revision revision) const {
    const auto found = hosts_.find(host);
    return found != hosts_.end() && found->second.revision == revision
               ? std::optional{found->second.silence}
               : std::nullopt;
}

void SilenceRecord::probe() {
    store_.get(std::string{model::keys::leader},
               [weak = std::weak_ptr{self_}](const store::Result<store::Lookup>& lookup) {
                   const auto held = weak.lock();
                   if (!held) {
                       return;
                   }
                   SilenceRecord& self = **held;
                   if (lookup && self.follower_.is_synced()) {
                       self.look();
                   }
                   self.loop_.call_after(self.period_, [weak] {
                       if (const auto still = weak.lock()) {
                           (*still)->probe();
                       }
                   });
               });
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
}

}  // namespace shoal::failover
