// One look a period: at the leader's key, with which the store's revision comes.
#include "controlplane/scheduler/compactor.h"

#include <string>

#include "controlplane/model/keys.h"
#include "devices/host/log.h"

namespace shoal::scheduler {

void Compactor::look() {
    store_.get(std::string{model::keys::leader},
               [weak = std::weak_ptr{self_}](const store::Result<store::Lookup>& leader) {
                   if (const auto self = weak.lock(); self && leader) {
                       (*self)->note(*leader);
                   }
               });
    loop_.call_after(times_.period, [weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->look();
        }
    });
}

void Compactor::note(const store::Lookup& leader) {
    notes_.push_back(leader.revision);
    if (notes_.size() <= times_.notes) {
        return;
    }
    const store::Revision old = notes_.front();
    notes_.pop_front();
    const auto guard = leadership_.guard();
    if (!guard || !leader.entry || leader.entry->mod_revision != guard->mod_revision) {
        return;
    }
    store_.compact(old, [](const store::Result<store::Revision>& result) {
        // Compacted: by another leader, or nothing was written since.
        if (!result && result.error().failure != store::Failure::compacted) {
            host::log(host::LogLevel::warn,
                      "cannot have the store forget what is old: " + result.error().reason);
        }
    });
}

}  // namespace shoal::scheduler
