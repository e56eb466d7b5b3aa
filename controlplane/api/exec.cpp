// The connection becomes one to the agent in the guest: what they say to one another is not looked
// at.
#include "controlplane/api/exec.h"

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "controlplane/api/guest_port.h"
#include "controlplane/api/microvms.h"
#include "controlplane/api/pass_on.h"
#include "controlplane/api/start_waits.h"
#include "controlplane/api/upgrade.h"
#include "controlplane/exec/frame.h"
#include "controlplane/http/stream.h"

namespace shoal::rest {
namespace {

using boost::system::error_code;

// Until a guest takes a connection; one that offers exec may only be about to listen.
constexpr std::chrono::seconds connect_timeout{5};
constexpr std::chrono::milliseconds retry{20};
// The microVM's host is to be the first who gives up.
constexpr std::chrono::seconds passing_on = start_patience + 2 * connect_timeout;

// One of the commands of a microVM, for as long as it is held.
std::shared_ptr<void> take_slot(const Service& service, const std::string& name) {
    std::size_t& count = (*service.commands)[name];
    if (count >= exec::max_commands) {
        throw Problem{429, "microVM " + name + " runs " + std::to_string(exec::max_commands) +
                               " commands already"};
    }
    ++count;
    return {nullptr, [commands = service.commands, name](void*) {
                if (--commands->at(name) == 0) {
                    commands->erase(name);
                }
            }};
}

struct Guest {
    Stream stream;
    std::shared_ptr<void> slot;
};

class Connecting : public std::enable_shared_from_this<Connecting> {
public:
    enum class Refusal { final, may_be_early };

    Connecting(boost::asio::io_context& context, const model::MicroVmSpec& spec, std::string path,
               std::shared_ptr<void> slot, Respond respond)
        : context_{context},
          timer_{context},
          name_{spec.name},
          path_{std::move(path)},
          refusal_{spec.exec ? Refusal::may_be_early : Refusal::final},
          slot_{std::move(slot)},
          respond_{std::move(respond)} {}

    void start() {
        socket_.emplace(context_);
        timer_.expires_at(give_up_at_);
        timer_.async_wait([self = shared_from_this()](error_code error) {
            if (!error) {
                error_code ignored;
                self->socket_->close(ignored);
            }
        });
        connect_to_guest(shared_from_this(), *socket_, path_, exec::agent_port,
                         [this](GuestAnswer answer) { on_answer(std::move(answer)); });
    }

private:
    void on_answer(GuestAnswer answer) {
        timer_.cancel();
        if (answer.failure.empty()) {
            return go_on(std::move(answer.early));
        }
        if (refusal_ == Refusal::final || Clock::now() + retry >= give_up_at_) {
            return respond_(to_response(
                Problem{409, "microVM " + name_ + " does not offer exec (" + answer.failure +
                                 "): create it with exec, or run the agent in it"}));
        }
        timer_.expires_after(retry);
        timer_.async_wait([self = shared_from_this()](error_code) { self->start(); });
    }
    void go_on(std::string early) {
        auto guest = std::make_shared<Guest>(Guest{Stream{std::move(*socket_)}, std::move(slot_)});
        Response response;
        response.status = 101;
        response.headers["Upgrade"] = exec::protocol;
        response.body = std::move(early);
        response.upgraded = std::shared_ptr<Stream>{guest, &guest->stream};
        respond_(std::move(response));
    }

    using Clock = std::chrono::steady_clock;

    boost::asio::io_context& context_;
    boost::asio::steady_timer timer_;
    std::string name_;
    std::string path_;
    Refusal refusal_;
    std::shared_ptr<void> slot_;
    Respond respond_;
    std::optional<GuestSocket> socket_;
    Clock::time_point give_up_at_ = Clock::now() + connect_timeout;
};

struct Commands {
    Service& service;
    boost::asio::io_context& context;
    StartWaits starts;

    void run(const Request& request, Respond respond);
    void begin(const Request& request, std::shared_ptr<void> slot, Respond& respond) const;
};

void Commands::run(const Request& request, Respond respond) {
    expect_parameters(request, {});
    const node::MicroVm& microvm = find_microvm(service, request.path[2]);
    expect_upgrade(request, "exec", exec::protocol);
    if (!microvm.spec.vsock) {
        return begin(request, nullptr, respond);
    }
    auto slot = take_slot(service, microvm.spec.name);
    starts.when_settled(
        microvm.spec.name, start_patience,
        [this, request, slot = std::move(slot), respond = std::move(respond)]() mutable {
            answer_or_refuse(std::move(respond),
                             [&](Respond answer) { begin(request, std::move(slot), answer); });
        });
}

void Commands::begin(const Request& request, std::shared_ptr<void> slot, Respond& respond) const {
    const node::MicroVm& microvm = find_microvm(service, request.path[2]);
    if (pass_on(service, microvm, request, passing_on, respond)) {
        return;
    }
    const std::string path = vsock_path_of(microvm);
    std::make_shared<Connecting>(context, microvm.spec, path, std::move(slot), std::move(respond))
        ->start();
}

}  // namespace

void add_exec(Api& api, Service& service, boost::asio::io_context& context) {
    const std::shared_ptr<Commands> commands{
        new Commands{service, context, {service.loop, service.mirror, service.host}}};
    api.add("POST", "/v1/microvms/*/exec", [commands](const Request& request, Respond respond) {
        commands->run(request, std::move(respond));
    });
}

}  // namespace shoal::rest
