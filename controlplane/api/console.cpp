// The output is the log's, so that neither misses what the other has; the input goes straight to
// the VMM.
#include "controlplane/api/console.h"

#include <boost/asio/local/connect_pair.hpp>
#include <chrono>
#include <cstdint>
#include <utility>

#include "controlplane/api/log_source.h"
#include "controlplane/api/microvms.h"
#include "controlplane/api/pass_on.h"
#include "controlplane/api/start_waits.h"
#include "controlplane/api/upgrade.h"
#include "controlplane/exec/frame.h"
#include "controlplane/http/stream.h"
#include "controlplane/http/target.h"
#include "controlplane/node/process/console_input.h"

namespace shoal::rest {
namespace {

// The microVM's host is to be the first who gives up.
constexpr std::chrono::seconds passing_on = start_patience + std::chrono::seconds{5};
constexpr std::uint64_t max_lines = 1000;

Consoles::IfTaken if_taken_of(const Request& request) {
    return is_asked(request, "force") ? Consoles::IfTaken::take_over : Consoles::IfTaken::refuse;
}

// One run of a microVM on this host.
struct Run {
    std::string host;
    node::Attempt attempt;

    [[nodiscard]] bool is_same(const node::MicroVm& now) const {
        return now.created == attempt.created;
    }
    [[nodiscard]] bool is_elsewhere(const node::MicroVm& now) const {
        return now.placement && now.placement->host != host;
    }
    [[nodiscard]] bool is_over(const node::MicroVm* now) const {
        return now == nullptr || !is_same(*now) || is_elsewhere(*now) || node::has_ended(*now) ||
               node::attempt_of(attempt.name, *now) != attempt;
    }
    [[nodiscard]] exec::Ended ending(const node::MicroVm* now) const {
        const std::string who = "microVM " + attempt.name;
        if (now == nullptr || !is_same(*now)) {
            return {console_failed, who + " was deleted"};
        }
        if (is_elsewhere(*now)) {
            return {console_failed,
                    who + " has moved to host " + now->placement->host + ": attach again"};
        }
        const int code =
            now->status ? now->status->exit_code.value_or(console_failed) : console_failed;
        const std::string why = now->status ? now->status->reason : "";
        return {static_cast<std::uint8_t>(code),
                who + " has ended" + (why.empty() ? "" : ": ") + why};
    }
};

struct Attaching {
    ConsoleService its;
    StartWaits starts;

    void attach(const Request& request, Respond respond);
    void begin(const Request& request, Respond& respond);
    [[nodiscard]] ConsoleEnds open(const node::MicroVm& microvm, std::uint64_t lines) const;
};

void Attaching::attach(const Request& request, Respond respond) {
    expect_parameters(request, {"force", "tail"});
    const node::MicroVm& microvm = find_microvm(its.service, request.path[2]);
    expect_upgrade(request, "a console", exec::console_protocol);
    starts.when_settled(
        microvm.spec.name, start_patience, [this, request, respond = std::move(respond)]() mutable {
            answer_or_refuse(std::move(respond), [&](Respond answer) { begin(request, answer); });
        });
}

void Attaching::begin(const Request& request, Respond& respond) {
    const node::MicroVm& microvm = find_microvm(its.service, request.path[2]);
    if (pass_on(its.service, microvm, request, passing_on, respond)) {
        return;
    }
    ConsoleEnds ends = open(microvm, number_of(request, "tail", 0, max_lines));
    ConsoleSession::Socket ours{its.context};
    ConsoleSession::Socket theirs{its.context};
    boost::asio::local::connect_pair(ours, theirs);
    const auto session = std::make_shared<ConsoleSession>(std::move(ours), std::move(ends));
    its.consoles.attach(microvm.spec.name, session, if_taken_of(request));
    Response response;
    response.status = 101;
    response.headers["Upgrade"] = exec::console_protocol;
    response.upgraded = std::make_shared<Stream>(std::move(theirs));
    session->start();
    respond(std::move(response));
}

ConsoleEnds Attaching::open(const node::MicroVm& microvm, std::uint64_t lines) const {
    const std::string& name = microvm.spec.name;
    const Run run{its.service.host, node::attempt_of(name, microvm)};
    const auto phase = microvm.status ? microvm.status->phase : model::Phase::pending;
    if (phase != model::Phase::running && phase != model::Phase::stopping) {
        throw does_not_run(microvm);
    }
    ConsoleEnds ends;
    ends.input = node::try_open_console_input(its.run_folder + "/" + to_folder_name(run.attempt));
    if (!ends.input) {
        throw Problem{409, "nobody reads the console of microVM " + name +
                               ": it is about to end, or an earlier version of shoald started it"};
    }
    const std::string log = its.log_folder + "/" + name + ".log";
    LogRequest output{log, name, offset_of_last_lines(log, lines),
                      [run](const node::MicroVm* now) { return run.is_over(now); }};
    ends.output = std::make_unique<LogSource>(its.context, its.service.mirror, std::move(output));
    ends.ending = [run, &mirror = its.service.mirror] {
        return run.ending(mirror.find(run.attempt.name));
    };
    return ends;
}

}  // namespace

Consoles::~Consoles() {
    for (const auto& [name, weak] : sessions_) {
        if (const auto session = weak.lock()) {
            session->close();
        }
    }
}

void Consoles::attach(const std::string& name, const std::shared_ptr<ConsoleSession>& session,
                      IfTaken if_taken) {
    std::erase_if(sessions_, [](const auto& entry) { return entry.second.expired(); });
    const auto found = sessions_.find(name);
    const auto other = found == sessions_.end() ? nullptr : found->second.lock();
    if (other && other->is_attached()) {
        if (if_taken == IfTaken::refuse) {
            throw Problem{409, "somebody is attached to the console of microVM " + name +
                                   " already: take it over by force, or wait"};
        }
        other->end(
            {console_failed, "the console of microVM " + name + " was taken over by another"});
    }
    sessions_[name] = session;
}

void add_console(Api& api, const ConsoleService& service) {
    const std::shared_ptr<Attaching> attaching{new Attaching{
        service, {service.service.loop, service.service.mirror, service.service.host}}};
    api.add("POST", "/v1/microvms/*/console", [attaching](const Request& request, Respond respond) {
        attaching->attach(request, std::move(respond));
    });
}

}  // namespace shoal::rest
