// Follower: is there a leader that is heard? No: a lease, then the key, if it is still as it was
// seen. Leader: renewals.
#include "controlplane/failover/leadership.h"

#include <utility>

#include "controlplane/model/host.h"
#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"

namespace shoal::failover {

namespace {

// Of a record that cannot be read: no host's name.
std::string host_of(const std::string& value) {
    try {
        return model::from_json<model::Leader>(value, model::UnknownFields::ignored).host;
    } catch (const model::JsonError&) {
        return "";
    }
}

}  // namespace

Leadership::Leadership(store::EventLoop& loop, store::Store& store, const std::string& name,
                       LeadershipListener& listener, LeadershipTimes times,
                       const SilenceRecord* record)
    : loop_{loop},
      store_{store},
      value_{model::to_json(model::Leader{name})},
      listener_{listener},
      times_{times},
      record_{record} {}

std::optional<store::Condition> Leadership::guard() const {
    return revision_ == 0
               ? std::nullopt
               : std::optional{store::Condition{std::string{model::keys::leader}, revision_}};
}

void Leadership::tick() {
    if (revision_ != 0 && loop_.now() - renewed_ > times_.lease) {
        step_down();  // Others lead by now, or will.
    }
    if (revision_ == 0) {
        check();
    } else if (!is_waiting_) {
        renew();
    }
    loop_.call_after(revision_ != 0 ? times_.renewal : times_.look, [weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->tick();
        }
    });
}

void Leadership::check() {
    if (std::exchange(is_waiting_, true)) {
        return;  // At most one lease is stood for at a time.
    }
    store_.get(std::string{model::keys::leader},
               [weak = std::weak_ptr{self_}](store::Result<store::Lookup> lookup) {
                   if (const auto self = weak.lock()) {
                       (*self)->is_waiting_ = false;
                       (*self)->look(std::move(lookup));
                   }
               });
}

void Leadership::look(store::Result<store::Lookup> lookup) {
    if (!lookup) {
        return;
    }
    const auto& entry = lookup->entry;
    // Also after an answer that got lost: the key is there, with the lease that was asked for.
    const bool is_ours = entry && lease_ != 0 && entry->lease == lease_;
    if (revision_ != 0 && (!is_ours || entry->mod_revision != revision_)) {
        step_down();
    } else if (revision_ == 0 && is_ours) {
        lead(entry->mod_revision);
    } else if (revision_ == 0 && (!entry || is_silent(*entry))) {
        campaign(entry ? entry->mod_revision : 0);
    }
}

// Early enough for the next leader to decide as the deadline is over: 2.5 s of 4.
bool Leadership::is_silent(const store::Entry& leader) const {
    const auto* host = record_ != nullptr ? record_->find(host_of(leader.value)) : nullptr;
    return host != nullptr && host->silent_for(times_.settling) > host->deadline() * 5 / 8;
}

// `over`: the revision of the leader's key, 0 where there is none.
void Leadership::campaign(store::Revision over) {
    is_waiting_ = true;
    store_.grant(times_.lease, [weak = std::weak_ptr{self_}, over,
                                sent = loop_.now()](store::Result<store::LeaseId> lease) {
        if (const auto self = weak.lock()) {
            (*self)->is_waiting_ = false;
            if (lease) {
                (*self)->renewed_ = sent;
                (*self)->stand(*lease, over);
            }
        }
    });
}

void Leadership::stand(store::LeaseId lease, store::Revision over) {
    lease_ = lease;
    is_waiting_ = true;
    store::Transaction transaction;
    transaction.conditions.push_back({std::string{model::keys::leader}, over});
    transaction.operations.emplace_back(
        store::Put{std::string{model::keys::leader}, value_, lease});
    store_.commit(std::move(transaction),
                  [weak = std::weak_ptr{self_}](store::Result<store::Revision> revision) {
                      if (const auto self = weak.lock()) {
                          (*self)->is_waiting_ = false;
                          if (revision) {
                              (*self)->lead(*revision);
                          }
                      }
                  });
}

void Leadership::renew() {
    is_waiting_ = true;
    store_.keep_alive(lease_, [weak = std::weak_ptr{self_}, lease = lease_,
                               sent = loop_.now()](store::Result<store::LeaseId> result) {
        const auto self = weak.lock();
        if (!self) {
            return;
        }
        (*self)->is_waiting_ = false;
        if ((*self)->lease_ != lease || (*self)->revision_ == 0) {
            return;
        }
        if (result) {
            (*self)->renewed_ = sent;
        } else if (result.error().failure == store::Failure::lease_gone) {
            (*self)->step_down();
        }
    });
}

void Leadership::lead(store::Revision revision) {
    revision_ = revision;
    listener_.on_leading();
}

void Leadership::step_down() {
    revision_ = 0;
    lease_ = 0;
    listener_.on_following();
}

}  // namespace shoal::failover
