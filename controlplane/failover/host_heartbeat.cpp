// One request at a time; whatever is in doubt is read before it is written again.
#include "controlplane/failover/host_heartbeat.h"

#include <algorithm>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"

namespace shoal::failover {
namespace {

// A process that has died may have sent one that comes late, not more.
constexpr std::uint64_t beats_of_the_living = 2;

}  // namespace

HostHeartbeat::HostHeartbeat(store::EventLoop& loop, store::Store& store, const std::string& host,
                             HeartbeatListener& listener, HeartbeatTimes times)
    : loop_{loop},
      store_{store},
      key_{model::keys::of(model::keys::heartbeats, host)},
      listener_{listener},
      times_{times},
      fence_{times.deadline} {}

void HostHeartbeat::start(std::optional<model::Epoch> kept) {
    kept_ = kept;
    tick();
}

void HostHeartbeat::rejoin() {
    is_lost_ = false;
    kept_.reset();
    fence_ = HostFence{times_.deadline};
    is_in_doubt_ = true;
    stranger_.reset();
}

void HostHeartbeat::tick() {
    if (!is_waiting_ && !is_lost_) {
        is_in_doubt_ ? ask() : beat();
    }
    loop_.call_after(times_.period, [weak = std::weak_ptr{self_}] {
        if (const auto self = weak.lock()) {
            (*self)->tick();
        }
    });
}

void HostHeartbeat::ask() {
    is_waiting_ = true;
    store_.get(key_, [weak = std::weak_ptr{self_}](store::Result<store::Lookup> lookup) {
        if (const auto self = weak.lock()) {
            (*self)->is_waiting_ = false;
            (*self)->on_answer(std::move(lookup));
        }
    });
}

void HostHeartbeat::on_answer(store::Result<store::Lookup> lookup) {
    if (!lookup) {
        return;  // The next tick asks again.
    }
    if (!lookup->entry) {
        // Nobody deletes the heartbeat of a host that lives: others may own everything by now.
        return epoch_ || kept_ ? lose() : claim(1, 0);
    }
    model::Heartbeat found;
    try {
        found =
            model::from_json<model::Heartbeat>(lookup->entry->value, model::UnknownFields::ignored);
    } catch (const model::JsonError&) {
        return;  // Damaged. Without knowing whose the epoch is, time runs out.
    }
    if (!epoch_ && kept_ == found.epoch && found.sequence > 0) {
        epoch_ = kept_;
        listener_.on_joined(*epoch_);
    } else if (!epoch_ && !kept_) {
        return claim_if_silent(found, lookup->entry->mod_revision);
    }
    if (epoch_ != found.epoch || found.sequence == 0) {
        return lose();
    }
    // Of an earlier try that came late, only the time of that one would count.
    if (found.epoch == last_.epoch && found.sequence == last_.sequence &&
        found.sent_ns == last_.sent_ns) {
        acknowledge(last_sent_);
    }
    revision_ = lookup->entry->mod_revision;
    last_ = found;
    is_in_doubt_ = false;
    beat();
}

// Until its deadline has passed, whoever had this name may run microVMs. The next tick asks again.
void HostHeartbeat::claim_if_silent(const model::Heartbeat& found, store::Revision revision) {
    if (found.sequence == 0) {  // The leader has seen to that.
        return claim(found.epoch + 1, revision);
    }
    if (!stranger_ || stranger_->epoch != found.epoch) {
        stranger_ = found;
    }
    if (found.sequence - stranger_->sequence >= beats_of_the_living) {
        is_lost_ = true;
        return listener_.on_name_taken();
    }
    stranger_silence_.hear(revision, found, loop_.now());
    if (stranger_silence_.look(loop_.now())) {
        claim(found.epoch + 1, revision);
    }
}

void HostHeartbeat::claim(model::Epoch epoch, store::Revision over) {
    send({epoch, 1}, over);
}

void HostHeartbeat::beat() {
    send({last_.epoch, last_.sequence + 1, 0, last_.runs_until_ns}, revision_);
}

// A process before this one, with a longer deadline, may have told a later end of the time.
void HostHeartbeat::send(model::Heartbeat heartbeat, store::Revision over) {
    is_waiting_ = true;
    last_sent_ = loop_.now();
    heartbeat.sent_ns = static_cast<std::uint64_t>(last_sent_.count());
    heartbeat.runs_until_ns =
        std::max(heartbeat.runs_until_ns,
                 static_cast<std::uint64_t>((last_sent_ + times_.deadline).count()));
    last_ = heartbeat;
    store::Transaction transaction;
    transaction.conditions.push_back({key_, over});
    transaction.operations.emplace_back(store::Put{key_, model::to_json(heartbeat)});
    store_.commit(std::move(transaction),
                  [weak = std::weak_ptr{self_}, heartbeat,
                   sent = last_sent_](store::Result<store::Revision> result) {
                      if (const auto self = weak.lock()) {
                          (*self)->is_waiting_ = false;
                          (*self)->on_committed(heartbeat, sent, std::move(result));
                      }
                  });
}

void HostHeartbeat::on_committed(model::Heartbeat heartbeat, Time sent,
                                 store::Result<store::Revision> result) {
    is_in_doubt_ = !result;
    if (!result) {
        if (result.error().failure == store::Failure::conflict) {
            ask();
        }
        return;
    }
    revision_ = *result;
    if (!epoch_) {
        epoch_ = heartbeat.epoch;
        listener_.on_joined(*epoch_);
    }
    acknowledge(sent);
}

void HostHeartbeat::acknowledge(Time sent) {
    fence_.on_acknowledged(sent);
    listener_.on_extended(fence_.runs_until());
}

void HostHeartbeat::lose() {
    epoch_.reset();
    kept_.reset();
    fence_.on_epoch_lost();
    is_lost_ = true;
    listener_.on_lost();
}

}  // namespace shoal::failover
