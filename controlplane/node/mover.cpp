// One look does at most one thing; what a VMM answers, and each change of the store, bring the
// next.
#include "controlplane/node/mover.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/clone_request.h"
#include "controlplane/node/process/launch.h"
#include "controlplane/node/process/run_folder.h"

namespace shoal::node {
namespace {

namespace json = boost::json;
namespace keys = model::keys;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* receive_target = "/migration/receive";
constexpr const char* send_target = "/migration/send";
constexpr milliseconds look_period{10};
// How long a destination waits for its source to connect.
constexpr seconds longest_wait{30};
// Of a VMM whose guest never came (vmm/migration/README.md).
constexpr int exit_code_of_never_ran = 165;

}  // namespace

Mover::Mover(store::EventLoop& loop, Mirror& mirror, Runner& runner, VmmClient& client,
             MoverSettings settings)
    : loop_{loop},
      mirror_{mirror},
      runner_{runner},
      client_{client},
      settings_{std::move(settings)} {}

bool Mover::is_coming(const MicroVm& microvm, model::Epoch epoch) const {
    return microvm.revision != 0 && microvm.move && microvm.move->to == settings_.host &&
           microvm.move->to_epoch == epoch;
}

void Mover::receive(const MicroVm& microvm, const Attempt& attempt) {
    const model::Move& move = *microvm.move;
    const Observation seen = runner_.observe(attempt);
    if (!move.failure.empty()) {  // The source, or the leader, ends it.
        waiting_since_.erase(attempt);
        if (has_processes(seen)) {
            runner_.stop(attempt, milliseconds{0});
        } else if (seen.state == AttemptState::ended) {
            runner_.discard(attempt);
        }
        return;
    }
    switch (seen.state) {
        case AttemptState::absent:
            return move.address.empty()
                       ? start(microvm, attempt)
                       : lose(microvm, "its destination has lost the process that waited for it");
        case AttemptState::starting:
            return;
        case AttemptState::running:
            return ask(microvm, attempt, [this, attempt](const MicroVm& now, const Status& status) {
                on_receiving(now, attempt, status);
            });
        case AttemptState::ended:
            // Who has not told an address has not had a guest. Who has, and did not say that it
            // never ran, may have run it: it came, and died here.
            if (move.address.empty() || (seen.exit && seen.exit->code == exit_code_of_never_ran)) {
                return fail(microvm, "its destination could not take it");
            }
            return arrive(microvm, attempt);
    }
}

void Mover::start(const MicroVm& microvm, const Attempt& attempt) {
    if (settings_.address.empty()) {
        return fail(microvm, "host " + settings_.host + " has no --address for migrations");
    }
    const auto place = find_place(microvm, attempt);
    if (!place) {
        return;
    }
    Launch launch;
    launch.attempt = attempt;
    launch.words = {settings_.vmm, "--api-sock",   runner_.api_socket_of(attempt), "--level", "Off",
                    "--fence",     settings_.fence};
    std::vector<std::string> paths = runner_.allowed_of(attempt);
    if (!place->root.empty()) {
        paths.push_back(place->root + ",ro");
    }
    paths.insert(paths.end(), place->disks.begin(), place->disks.end());
    const auto allowed = allow_words(paths);
    launch.words.insert(launch.words.end(), allowed.begin(), allowed.end());
    launch.log = agent_->log_of(attempt.name);
    launch.time_limit_s = time_limit_left_s(microvm, wall_clock_ms());
    launch.limits = limits_of(microvm.spec);
    try {
        runner_.start(launch);
    } catch (const std::exception& error) {
        fail(microvm, error.what());
    }
}

// Nothing: it is not all here yet. An image is fetched, for as long as a source is waited for.
std::optional<Mover::Place> Mover::find_place(const MicroVm& microvm, const Attempt& attempt) {
    if (provisions_ == nullptr) {
        return Place{};
    }
    try {
        return Place{provisions_->root_of(microvm), provisions_->tap_of(microvm),
                     provisions_->disks_of(microvm)};
    } catch (const NotYet& reason) {
        const auto since = waiting_since_.emplace(attempt, loop_.now()).first->second;
        if (loop_.now() - since > longest_wait) {
            fail(microvm, reason.what());
        } else {
            look_later(microvm.spec.name);
        }
        return std::nullopt;
    }
}

std::string Mover::receive_order(const MicroVm& microvm, const Attempt& attempt,
                                 const Place& place) const {
    const auto quoted = [](const std::string& text) { return json::serialize(json::value(text)); };
    model::MicroVmStatus described;
    if (provisions_ != nullptr) {
        provisions_->describe(microvm, attempt, described);
    }
    std::string body =
        R"({"listen":")" + ("tcp:" + settings_.address + ":0") + "\"," + tls(microvm.move->from);
    if (!described.vsock.empty()) {
        body += R"(,"vsock_override":{"uds_path":)" + quoted(described.vsock) + "}";
    }
    if (const json::array drives = drive_overrides(place.root, place.disks); !drives.empty()) {
        body += R"(,"drive_overrides":)" + json::serialize(drives);
    }
    if (!place.tap.empty()) {
        body += R"(,"network_overrides":[{"iface_id":")" + std::string{microvm_interface} +
                R"(","host_dev_name":)" + quoted(place.tap) + "}]";
    }
    return body + "}";
}

void Mover::on_receiving(const MicroVm& microvm, const Attempt& attempt, const Status& status) {
    const model::Move& move = *microvm.move;
    if (status.phase == "Running") {
        return arrive(microvm, attempt);
    }
    if (status.phase == "None") {
        if (const auto place = find_place(microvm, attempt)) {
            waiting_since_.erase(attempt);
            order(attempt, receive_target, receive_order(microvm, attempt, *place));
        }
        return;
    }
    if (status.phase == "Waiting" && move.address.empty()) {
        return tell_address(microvm, status.address);
    }
    const auto since = waiting_since_.emplace(attempt, loop_.now()).first->second;
    const auto source = mirror_.hosts().find(move.from);
    const bool source_is_lost =
        source == mirror_.hosts().end() || source->second.heartbeat.epoch != move.from_epoch;
    if (status.phase == "Waiting" && (source_is_lost || loop_.now() - since > longest_wait)) {
        return order(attempt, "/migration/cancel", "{}");
    }
    look_later(attempt.name);
}

void Mover::forget(const std::string& name) {
    const auto is_of_it = [&name](const auto& entry) { return entry.first.name == name; };
    std::erase_if(sent_to_, is_of_it);
    std::erase_if(waiting_since_, is_of_it);
}

void Mover::send(const MicroVm& microvm, const Attempt& attempt) {
    const model::Move& move = *microvm.move;
    const bool runs = has_processes(runner_.observe(attempt));
    if (!move.failure.empty() && !runs) {
        return move.is_lost ? void() : stay(microvm, move.failure);
    }
    if (!runs || (move.address.empty() && move.failure.empty())) {
        return;
    }
    ask(microvm, attempt, [this, attempt](const MicroVm& now, const Status& status) {
        on_sending(now, attempt, status);
    });
}

void Mover::on_sending(const MicroVm& microvm, const Attempt& attempt, const Status& status) {
    const model::Move& move = *microvm.move;
    // "Running": it has come here by a migration before.
    const bool is_at_home =
        status.phase == "None" || status.phase == "Resumed" || status.phase == "Running";
    if (!move.failure.empty()) {
        if (is_at_home) {
            return stay(microvm, move.failure);
        }
        if (status.phase == "InDoubt" && move.is_lost) {
            // It may have run there, and died with that host.
            return runner_.stop(attempt, milliseconds{0});
        }
        if (status.phase == "InDoubt") {
            return order(attempt, "/migration/resolve", R"({"guest_runs":"Here"})");
        }
        return look_later(attempt.name);
    }
    std::string& sent_to = sent_to_[attempt];
    if (is_at_home && sent_to == move.address) {
        return stay(microvm, status.failure);
    }
    if (is_at_home) {
        sent_to = move.address;
        return order(attempt, send_target,
                     R"({"destination":)" + json::serialize(json::value(move.address)) + "," +
                         tls(move.to) + "}");
    }
    look_later(attempt.name);
}

// Without a certificate the connection is plain: shoald's own options have said so.
std::string Mover::tls(const std::string& peer) const {
    if (settings_.certificate.empty()) {
        return R"("plain":true)";
    }
    return "\"tls\":" +
           json::serialize(json::object{{"certificate_path", settings_.certificate},
                                        {"key_path", settings_.key},
                                        {"authority_path", settings_.authority}}) +
           R"(,"peer_name":")" + peer + "\"";
}

void Mover::ask(const MicroVm& microvm, const Attempt& attempt, Then then) {
    if (!asking_.insert(attempt).second) {
        return;
    }
    client_.call(runner_.api_socket_of(attempt), {"GET", "/migration"},
                 [weak = std::weak_ptr{self_}, attempt, then = std::move(then),
                  revision = microvm.move_revision](const std::optional<VmmAnswer>& answer) {
                     const auto self = weak.lock();
                     if (!self) {
                         return;
                     }
                     Mover& mover = **self;
                     mover.asking_.erase(attempt);
                     const auto found = mover.mirror_.microvms().find(attempt.name);
                     const auto object = object_in(answer);
                     if (!object) {  // It does not listen yet, or has just ended.
                         return mover.look_later(attempt.name);
                     }
                     if (found == mover.mirror_.microvms().end() ||
                         found->second.move_revision != revision) {
                         return mover.agent_->look_at(attempt.name);
                     }
                     then(found->second, {text_in(*object, "phase"), text_in(*object, "address"),
                                          text_in(*object, "failure")});
                 });
}

// A refusal to begin is the end of the move; any other answer is seen from the next status.
void Mover::order(const Attempt& attempt, const char* target, std::string body) {
    asking_.insert(attempt);
    const bool begins =
        target == std::string_view{receive_target} || target == std::string_view{send_target};
    client_.call(
        runner_.api_socket_of(attempt), {"PUT", target, std::move(body)},
        [weak = std::weak_ptr{self_}, attempt, begins](const std::optional<VmmAnswer>& answer) {
            const auto self = weak.lock();
            if (!self) {
                return;
            }
            Mover& mover = **self;
            mover.asking_.erase(attempt);
            const auto found = mover.mirror_.microvms().find(attempt.name);
            if (!begins || !answer || answer->status < 400 ||
                found == mover.mirror_.microvms().end() || !found->second.move) {
                return mover.look_later(attempt.name);
            }
            const auto object = object_in(answer);
            const std::string reason = object ? text_in(*object, "fault_message") : "";
            const bool is_source =
                found->second.placement && found->second.placement->host == mover.settings_.host;
            is_source ? mover.stay(found->second, reason) : mover.fail(found->second, reason);
        });
}

void Mover::look_later(const std::string& name) {
    loop_.call_after(look_period, [weak = std::weak_ptr{self_}, name] {
        if (const auto self = weak.lock()) {
            (*self)->agent_->look_at(name);
        }
    });
}

void Mover::tell_address(const MicroVm& microvm, const std::string& address) {
    model::Move move = *microvm.move;
    move.address = address;
    write(microvm, move);
}

void Mover::fail(const MicroVm& microvm, const std::string& reason) {
    model::Move move = *microvm.move;
    move.failure = reason.empty() ? "the destination refused it" : reason;
    write(microvm, move);
}

// Nobody knows whether the guest had come.
void Mover::lose(const MicroVm& microvm, const std::string& reason) {
    model::Move move = *microvm.move;
    move.failure = reason;
    move.is_lost = true;
    write(microvm, move);
}

void Mover::write(const MicroVm& microvm, const model::Move& move) {
    const std::string key = keys::of(keys::moves, microvm.spec.name);
    store::Transaction transaction;
    transaction.conditions = {{key, microvm.move_revision}};
    transaction.operations.emplace_back(store::Put{key, model::to_json(move)});
    agent_->commit(microvm.spec.name, std::move(transaction));
}

// The guest runs here: from this transaction on it is placed here.
void Mover::arrive(const MicroVm& microvm, const Attempt& attempt) {
    const std::string& name = microvm.spec.name;
    const model::Move& move = *microvm.move;
    model::MicroVmStatus status = microvm.status.value_or(model::MicroVmStatus{});
    status.phase = model::Phase::running;
    status.host = settings_.host;
    status.epoch = move.to_epoch;
    status.reason = {};
    if (provisions_ != nullptr) {
        provisions_->describe(microvm, attempt, status);
    }
    const model::Assignment run{move.to_epoch, model::Assignment::Wanted::run};
    store::Transaction transaction;
    transaction.conditions = {{keys::of(keys::moves, name), microvm.move_revision},
                              {keys::of(keys::placements, name), microvm.placement_revision}};
    transaction.operations = {
        store::Put{keys::of(keys::placements, name),
                   model::to_json(model::Placement{settings_.host, move.to_epoch})},
        store::Put{keys::of(keys::assignments, settings_.host, name), model::to_json(run)},
        store::Delete{keys::of(keys::assignments, move.from, name)},
        store::Put{keys::of(keys::statuses, settings_.host, name), model::to_json(status)},
        store::Delete{keys::of(keys::statuses, move.from, name)},
        store::Delete{keys::of(keys::moves, name)},
    };
    adopt_volumes(microvm, transaction);
    waiting_since_.erase(attempt);
    agent_->commit(name, std::move(transaction));
}

// Those on storages, since no others move.
void Mover::adopt_volumes(const MicroVm& microvm, store::Transaction& transaction) const {
    const auto& all = mirror_.objects().volumes;
    for (const std::string& name : microvm.spec.volumes) {
        const auto found = all.find(name);
        if (found == all.end()) {
            continue;
        }
        model::Volume volume = found->second.body;
        volume.host = settings_.host;
        const std::string key = keys::of(keys::volumes, name);
        transaction.conditions.push_back({key, found->second.revision});
        transaction.operations.emplace_back(store::Put{key, model::to_json(volume)});
    }
}

// The guest goes on where it was.
void Mover::stay(const MicroVm& microvm, const std::string& reason) {
    const std::string& name = microvm.spec.name;
    store::Transaction transaction;
    end_move(microvm, name, transaction);
    if (microvm.status) {
        model::MicroVmStatus status = *microvm.status;
        status.reason = "it could not move to " + microvm.move->to + ": " + reason;
        const std::string key = keys::of(keys::statuses, settings_.host, name);
        transaction.conditions.push_back({key, microvm.status_revision});
        transaction.operations.emplace_back(store::Put{key, model::to_json(status)});
    }
    agent_->commit(name, std::move(transaction));
}

void Mover::end_move(const MicroVm& microvm, const std::string& name,
                     store::Transaction& transaction) {
    const std::string key = keys::of(keys::moves, name);
    transaction.conditions.push_back({key, microvm.move_revision});
    if (microvm.move) {
        transaction.operations.emplace_back(store::Delete{key});
    }
}

}  // namespace shoal::node
