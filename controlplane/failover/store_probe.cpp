// One question at a time.
#include "controlplane/failover/store_probe.h"

#include <string>

#include "controlplane/model/keys.h"

namespace shoal::failover {

void StoreProbe::ask() {
    store_.get(std::string{model::keys::leader},
               [weak = std::weak_ptr{self_}](const store::Result<store::Lookup>& leader) {
                   if (const auto self = weak.lock()) {
                       (*self)->on_answer(leader);
                   }
               });
}

void StoreProbe::on_answer(const store::Result<store::Lookup>& leader) {
    loop_.call_after(period_, [weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->ask();
        }
    });
    const Answered answered = answered_;  // outlives the probe
    answered(leader);
}

}  // namespace shoal::failover
