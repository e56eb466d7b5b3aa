// A microVM that shall run: attempts at it are started, and what became of them is written down.
#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/node_agent.h"
#include "controlplane/node/process/launch.h"
#include "controlplane/node/rfc3339.h"
#include "devices/host/log.h"

namespace shoal::node {
namespace {

namespace keys = model::keys;
using model::Phase;
using std::chrono::seconds;

// Between starts of a program that ends at once: 1 s, 2 s, 4 s, ...

bool starts_again(const model::MicroVmSpec& spec, const Exit& exit) {
    return !spec.stop && (spec.restart == model::RestartPolicy::always ||
                          (spec.restart == model::RestartPolicy::on_failure && exit.code != 0));
}

std::string describe(const Exit& exit) {
    std::string text = exit.reason;
    if (text.empty()) {
        text =
            exit.code == 0 ? "" : "the program ended with exit code " + std::to_string(exit.code);
    }
    return text;
}

}  // namespace

void NodeAgent::run(const MicroVm& microvm, const Attempt& attempt) {
    const Observation seen = runner_.observe(attempt);
    if (has_ended(microvm)) {
        if (seen.state == AttemptState::ended) {
            runner_.discard(attempt);
        }
        return;
    }
    const bool ran = microvm.status && microvm.status->phase != Phase::pending;
    switch (seen.state) {
        case AttemptState::absent:
            return ran ? on_vanished(microvm, seen) : start_attempt(microvm, attempt);
        case AttemptState::starting:
            return;
        case AttemptState::running:
            if (!microvm.status || microvm.status->phase != Phase::running) {
                model::MicroVmStatus status = microvm.status.value_or(model::MicroVmStatus{});
                status.phase = Phase::running;
                status.reason = {};
                status.ended_at = {};
                status.exit_code = {};
                status.started_at = to_rfc3339(seen.started_ms.value_or(0));
                if (provisions_ != nullptr) {
                    provisions_->describe(microvm, attempt, status);
                }
                commit_status(microvm, std::move(status));
            }
            return;
        case AttemptState::ended:
            return on_ended(microvm, attempt, seen);
    }
}

// Run folders do not outlive a restart of the host.
void NodeAgent::on_vanished(const MicroVm& microvm, const Observation& seen) {
    const std::string reason = "its host was restarted";
    if (!is_restorable(microvm)) {
        return record_end(microvm, {128 + 9, wall_clock_ms(), reason}, seen);
    }
    model::MicroVmStatus status = *microvm.status;
    status.phase = Phase::pending;
    status.reason = reason + ": it goes on from its checkpoint";
    commit_status(microvm, std::move(status));
}

void NodeAgent::on_ended(const MicroVm& microvm, const Attempt& attempt, const Observation& seen) {
    if (!seen.exit) {
        // A supervisor that was killed before it did anything.
        runner_.discard(attempt);
        return look_at(attempt.name);
    }
    // Whatever it ended by, its guest may have come to the other host before: that has the word. If
    // that host has died, it is nowhere.
    if (microvm.move && microvm.move->is_lost) {
        return release(attempt.name, microvm);
    }
    if (microvm.move && microvm.move->failure.empty() && !microvm.move->address.empty()) {
        return;
    }
    if (is_restorable(microvm) && seen.exit->reason.starts_with(not_loaded)) {
        return begin_anew(microvm, seen.exit->reason);
    }
    record_end(microvm, *seen.exit, seen);
}

// It waits for the host that has its volumes, which are what they were when it was lost, and begins
// there.
void NodeAgent::give_back(const MicroVm& microvm, const std::string& reason) {
    model::MicroVmStatus status;
    status.reason = "it begins anew where its volumes are: " + reason;
    store::Transaction transaction;
    transaction.operations.emplace_back(store::Put{
        keys::of(keys::statuses, keys::no_host, microvm.spec.name), model::to_json(status)});
    release(microvm.spec.name, microvm, std::move(transaction));
}

// A host that is alone has its name from whoever starts it: nobody else is to be waited for.
bool NodeAgent::has_volumes_elsewhere(const MicroVm& microvm) const {
    const auto& all = mirror_.objects().volumes;
    return !settings_.fence.empty() &&
           std::ranges::any_of(microvm.spec.volumes, [&](const std::string& name) {
               const auto found = all.find(name);
               return found != all.end() && found->second.body.storage.empty() &&
                      found->second.body.host != settings_.host;
           });
}

// Another attempt, so that the folder of the one before is not taken for its own.
void NodeAgent::begin_anew(const MicroVm& microvm, const std::string& reason) {
    model::MicroVmStatus status = microvm.status.value_or(model::MicroVmStatus{});
    status.phase = Phase::pending;
    status.reason = "it begins anew, not from its checkpoint: " + reason;
    ++status.restarts;
    store::Transaction transaction;
    forget_checkpoint(microvm, microvm.spec.name, transaction);
    commit_status(microvm, std::move(status), std::move(transaction));
}

void NodeAgent::start_attempt(const MicroVm& microvm, const Attempt& attempt) {
    const model::BackOff& back_off = back_off_[attempt.name];
    if (loop_.now() < back_off.until) {
        return look_later(attempt.name, back_off.until - loop_.now());
    }
    if (!is_restorable(microvm) && has_volumes_elsewhere(microvm)) {
        // Whoever has placed it took it for one with a checkpoint, or a volume was taken over.
        return give_back(microvm, "host " + settings_.host + " does not have them");
    }
    try {
        LaunchPaths paths{settings_.run_command, log_of(attempt.name), settings_.fence};
        paths.allowed = runner_.allowed_of(attempt);
        if (!settings_.fence.empty()) {
            paths.api_socket = runner_.api_socket_of(attempt);
        }
        Launch launch = make_launch(microvm.spec, attempt, paths);
        if (provisions_ != nullptr) {
            provisions_->prepare(microvm, launch);
        }
        runner_.start(launch);
    } catch (const NotYet& reason) {
        if (reason.retry() < seconds{1}) {  // too short to be told
            return look_later(attempt.name, reason.retry());
        }
        postpone(microvm, reason.what());
    } catch (const NoCheckpoint& reason) {
        has_volumes_elsewhere(microvm) ? give_back(microvm, reason.what())
                                       : begin_anew(microvm, reason.what());
    } catch (const std::exception& error) {
        // The host's trouble, not the program's: tried again for as long as it is wanted.
        host::log(host::LogLevel::error, attempt.name + " cannot be started: " + error.what());
        postpone(microvm, error.what());
    }
}

void NodeAgent::postpone(const MicroVm& microvm, const std::string& reason) {
    const std::string& name = microvm.spec.name;
    back_off_[name].until = loop_.now() + seconds{1};
    look_later(name, seconds{1});
    const std::string sentence = "it cannot be started yet: " + reason;
    if (!microvm.status || microvm.status->reason != sentence) {
        model::MicroVmStatus status = microvm.status.value_or(model::MicroVmStatus{});
        status.reason = sentence;
        commit_status(microvm, std::move(status));
    }
}

void NodeAgent::record_end(const MicroVm& microvm, const Exit& exit, const Observation& seen) {
    model::MicroVmStatus status = microvm.status.value_or(model::MicroVmStatus{});
    status.exit_code = exit.code;
    status.reason = describe(exit);
    if (seen.started_ms) {
        status.started_at = to_rfc3339(*seen.started_ms);
    }
    status.ended_at = to_rfc3339(exit.ended_ms);
    status.vsock = {};
    status.address = {};
    if (starts_again(microvm.spec, exit)) {
        const std::int64_t ran_ms = seen.started_ms ? exit.ended_ms - *seen.started_ms : 0;
        back_off_[microvm.spec.name].note_failure(loop_.now(), std::chrono::milliseconds{ran_ms});
        status.phase = Phase::pending;
        ++status.restarts;
    } else {
        status.phase = exit.code == 0 ? Phase::succeeded : Phase::failed;
    }
    store::Transaction transaction;
    forget_checkpoint(microvm, microvm.spec.name, transaction);
    commit_status(microvm, std::move(status), std::move(transaction));
}

}  // namespace shoal::node
