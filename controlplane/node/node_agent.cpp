// One look at one microVM does at most one thing, and what it does brings the next look. What
// running them means is in node_agent_attempts.cpp.
#include "controlplane/node/node_agent.h"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <system_error>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "devices/host/log.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;
using model::Phase;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds conflict_retry{100};
// A store that is full or away is not asked all the time.
constexpr seconds trouble_retry{1};

}  // namespace

NodeAgent::NodeAgent(store::EventLoop& loop, store::Store& store, Mirror& mirror, Runner& runner,
                     NodeSettings settings)
    : loop_{loop},
      store_{store},
      mirror_{mirror},
      runner_{runner},
      settings_{std::move(settings)} {}

void NodeAgent::set_mover(Mover& mover) {
    mover_ = &mover;
    mover.set_agent(*this);
}

void NodeAgent::start() {
    is_started_ = true;
    look_at_all();
}

void NodeAgent::take(model::Epoch epoch) {
    epoch_ = epoch;
    look_at_all();
}

void NodeAgent::give_up(std::function<void()> when_gone) {
    epoch_.reset();
    when_gone_ = std::move(when_gone);
    // Also before the store has been read: whatever it says, these are not ours.
    for (const std::string& name : runner_.names()) {
        kill_all(name);
    }
    kill_all({});
}

void NodeAgent::look_at_all() {
    for (const std::string& name : runner_.names()) {
        look_at(name);
    }
    for (const auto& [name, microvm] : mirror_.microvms()) {
        look_at(name);
    }
}

std::string NodeAgent::log_of(const std::string& name) const {
    return settings_.log_folder + "/" + name + ".log";
}

void NodeAgent::look_at(const std::string& name) {
    if (when_gone_) {
        return kill_all(name);
    }
    if (!is_started_ || !epoch_) {
        return;  // Nobody seems to want anything before the mirror has read the store.
    }
    to_look_at_.insert(name);
    if (to_look_at_.size() == 1) {
        look_later({}, {});
    }
}

// Of no name: at all that wait.
void NodeAgent::look_later(const std::string& name, store::EventLoop::Duration delay) {
    auto task = [weak = std::weak_ptr{self_}, name] {
        if (const auto self = weak.lock()) {
            name.empty() ? (*self)->look() : (*self)->look_at(name);
        }
    };
    if (delay == store::EventLoop::Duration::zero()) {
        loop_.post(std::move(task));
    } else {
        loop_.call_after(delay, std::move(task));
    }
}

void NodeAgent::look() {
    for (const std::string& name : std::exchange(to_look_at_, {})) {
        if (epoch_ && !committing_.contains(name)) {
            reconcile(name);
        }
    }
}

bool NodeAgent::is_here(const MicroVm& microvm) const {
    return microvm.placement && microvm.placement->host == settings_.host &&
           microvm.placement->epoch == epoch_;
}

void NodeAgent::reconcile(const std::string& name) {
    const auto found = mirror_.microvms().find(name);
    // Whatever runs goes on until its record can be read, or somebody wants it gone.
    if (found != mirror_.microvms().end() && found->second.is_damaged() &&
        !found->second.deletion) {
        return;
    }
    if (found == mirror_.microvms().end() || !is_here(found->second)) {
        return look_from_afar(name, found == mirror_.microvms().end() ? nullptr : &found->second);
    }
    const MicroVm& microvm = found->second;
    const Attempt attempt = attempt_of(name, microvm);
    if (!end_all_but(microvm.revision == 0 ? nullptr : &attempt, name)) {
        return;
    }
    const auto& assignment = microvm.at(settings_.host).assignment;
    const bool shall_stop = assignment && assignment->wanted == model::Assignment::Wanted::stop;
    if (microvm.revision == 0) {
        release(name, microvm);
    } else if (microvm.deletion || shall_stop) {
        stop(microvm, attempt);
    } else {
        if (mover_ != nullptr && microvm.move) {
            mover_->send(microvm, attempt);
        }
        if (!committing_.contains(name)) {
            // On its way it is wherever that ends.
            microvm.spec.stop && !microvm.move ? end_for_good(microvm, attempt)
                                               : run(microvm, attempt);
        }
    }
}

// At one that is not placed here: it is on its way to here, or has no business here.
void NodeAgent::look_from_afar(const std::string& name, const MicroVm* microvm) {
    const bool is_coming =
        mover_ != nullptr && microvm != nullptr && mover_->is_coming(*microvm, *epoch_);
    if (!is_coming) {
        back_off_.erase(name);
        if (mover_ != nullptr) {
            mover_->forget(name);
        }
        static_cast<void>(end_all_but(nullptr, name));
        return;
    }
    const Attempt attempt = attempt_of(name, *microvm);
    if (end_all_but(&attempt, name)) {
        mover_->receive(*microvm, attempt);
    }
}

// Of no name: looks whether anything is left.
void NodeAgent::kill_all(const std::string& name) {
    static_cast<void>(name.empty() || end_all_but(nullptr, name));
    if (when_gone_ && runner_.names().empty()) {
        back_off_.clear();
        loop_.post(std::exchange(when_gone_, {}));
    }
}

// True when there are no others any more. Of those there is nothing to be learnt.
bool NodeAgent::end_all_but(const Attempt* kept, const std::string& name) {
    bool all_gone = true;
    for (const Attempt& attempt : runner_.attempts(name)) {
        if (kept != nullptr && attempt == *kept) {
            continue;
        }
        if (has_processes(runner_.observe(attempt))) {
            runner_.stop(attempt, milliseconds{0});
            all_gone = false;
        } else {
            runner_.discard(attempt);
        }
    }
    return all_gone;
}

// False: there is none that could be stopped.
bool NodeAgent::stop_processes(const MicroVm& microvm, const Attempt& attempt,
                               const Observation& seen, const model::Deletion& wanted) {
    if (!has_processes(seen)) {
        return false;
    }
    runner_.stop(attempt, seconds{wanted.grace_s});
    if (microvm.status && microvm.status->phase == Phase::running) {
        model::MicroVmStatus status = *microvm.status;
        status.phase = Phase::stopping;
        commit_status(microvm, std::move(status));
    }
    return true;
}

// What is known of it stays.
void NodeAgent::end_for_good(const MicroVm& microvm, const Attempt& attempt) {
    const Observation seen = runner_.observe(attempt);
    if (stop_processes(microvm, attempt, seen, *microvm.spec.stop)) {
        return;
    }
    if (seen.state == AttemptState::absent && !has_ended(microvm)) {
        return record_end(microvm, {128 + SIGTERM, wall_clock_ms(), "it was stopped"}, seen);
    }
    run(microvm, attempt);
}

void NodeAgent::stop(const MicroVm& microvm, const Attempt& attempt) {
    const Observation seen = runner_.observe(attempt);
    if (stop_processes(microvm, attempt, seen, microvm.deletion.value_or(model::Deletion{}))) {
        return;
    }
    if (seen.state == AttemptState::ended) {
        runner_.discard(attempt);
    }
    std::error_code ignored;
    std::filesystem::remove(log_of(attempt.name), ignored);
    back_off_.erase(attempt.name);
    release(attempt.name, microvm);
}

// It is nowhere any more. What remains of it is the leader's to place again or to forget; a host
// alone forgets it at once.
void NodeAgent::release(const std::string& name, const MicroVm& microvm,
                        store::Transaction transaction) {
    transaction.conditions.push_back(
        {keys::of(keys::placements, name), microvm.placement_revision});
    transaction.operations.emplace_back(store::Delete{keys::of(keys::placements, name)});
    const AtHost& here = microvm.at(settings_.host);
    if (here.status_revision != 0) {
        transaction.operations.emplace_back(
            store::Delete{keys::of(keys::statuses, settings_.host, name)});
    }
    if (here.assignment) {
        transaction.operations.emplace_back(
            store::Delete{keys::of(keys::assignments, settings_.host, name)});
    }
    Mover::end_move(microvm, name, transaction);
    const bool was_lost = microvm.move && microvm.move->is_lost;
    if (!was_lost) {
        forget_checkpoint(microvm, name, transaction);
    }
    if (settings_.fence.empty()) {
        transaction.conditions.push_back({keys::of(keys::microvms, name), microvm.revision});
        for (const std::string_view folder : {keys::microvms, keys::deletions}) {
            transaction.operations.emplace_back(store::Delete{keys::of(folder, name)});
        }
    }
    commit(name, std::move(transaction));
}

// Whatever comes after this does not go on from it.
void NodeAgent::forget_checkpoint(const MicroVm& microvm, const std::string& name,
                                  store::Transaction& transaction) {
    if (microvm.checkpoint_revision != 0) {
        const std::string key = keys::of(keys::checkpoints, name);
        transaction.conditions.push_back({key, microvm.checkpoint_revision});
        transaction.operations.emplace_back(store::Delete{key});
    }
}

void NodeAgent::commit_status(const MicroVm& microvm, model::MicroVmStatus status,
                              store::Transaction transaction) {
    status.host = settings_.host;
    status.epoch = microvm.placement->epoch;
    const std::string& name = microvm.spec.name;
    const std::string key = keys::of(keys::statuses, settings_.host, name);
    // That it is the same microVM still, here, and that nobody else has written meanwhile.
    transaction.conditions.push_back({keys::of(keys::microvms, name), microvm.revision});
    transaction.conditions.push_back(
        {keys::of(keys::placements, name), microvm.placement_revision});
    transaction.conditions.push_back({key, microvm.status_revision});
    transaction.operations.emplace_back(store::Put{key, model::to_json(status)});
    commit(name, std::move(transaction));
}

void NodeAgent::commit(const std::string& name, store::Transaction transaction) {
    committing_.insert(name);
    store_.commit(std::move(transaction),
                  [weak = std::weak_ptr{self_}, name](store::Result<Revision> result) {
                      if (const auto self = weak.lock()) {
                          (*self)->committed(name, std::move(result));
                      }
                  });
}

void NodeAgent::committed(const std::string& name, store::Result<Revision> result) {
    const auto go_on = [weak = std::weak_ptr{self_}, name] {
        if (const auto self = weak.lock()) {
            (*self)->committing_.erase(name);
            (*self)->look_at(name);
        }
    };
    if (result) {
        return mirror_.when(*result, go_on);
    }
    if (result.error().failure == store::Failure::conflict) {
        // By then the mirror shows what was in the way.
        return loop_.call_after(conflict_retry, go_on);
    }
    host::log(host::LogLevel::error,
              "the state of " + name + " cannot be stored: " + result.error().reason);
    loop_.call_after(trouble_retry, go_on);
}

}  // namespace shoal::node
