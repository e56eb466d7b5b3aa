// The end of the request is the end of what is written; the guest ends the reply by closing.
#include "controlplane/api/calls.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "controlplane/api/guest_port.h"
#include "controlplane/api/microvms.h"
#include "controlplane/api/pass_on.h"
#include "controlplane/http/target.h"

namespace shoal::rest {
namespace {

using boost::system::error_code;

// How much longer a call to another host may take than the call itself.
constexpr std::chrono::seconds passing_on{5};

class Call : public std::enable_shared_from_this<Call> {
public:
    Call(boost::asio::io_context& context, std::uint64_t port, std::string body, Respond respond)
        : socket_{context},
          deadline_{context},
          port_{port},
          body_{std::move(body)},
          respond_{std::move(respond)} {}

    void start(const std::string& path, std::chrono::seconds timeout) {
        deadline_.expires_after(timeout);
        deadline_.async_wait([self = shared_from_this(), timeout](error_code error) {
            if (!error) {
                self->fail(504, "the microVM has not replied within " +
                                    std::to_string(timeout.count()) + " s");
            }
        });
        connect_to_guest(shared_from_this(), socket_, path, port_,
                         [this](GuestAnswer answer) { on_connected(std::move(answer)); });
    }

private:
    void on_connected(GuestAnswer answer) {
        if (!answer.failure.empty()) {
            return fail(502, answer.failure);
        }
        reply_ = std::move(answer.early);
        send_body();
        read_reply();
    }
    // While it is read: the guest may reply before it has everything, or stop reading.
    void send_body() {
        boost::asio::async_write(socket_, boost::asio::buffer(body_),
                                 [self = shared_from_this()](error_code, std::size_t) {
                                     error_code ignored;
                                     self->socket_.shutdown(GuestSocket::shutdown_send, ignored);
                                 });
    }
    void read_reply() {
        socket_.async_read_some(boost::asio::buffer(buffer_),
                                [self = shared_from_this()](error_code error, std::size_t count) {
                                    if (error) {
                                        return self->finish();
                                    }
                                    self->reply_.append(self->buffer_.data(), count);
                                    if (self->reply_.size() > max_reply_bytes) {
                                        return self->fail(502, "the reply has more than " +
                                                                   std::to_string(max_reply_bytes) +
                                                                   " bytes");
                                    }
                                    self->read_reply();
                                });
    }
    void finish() {
        Response response;
        response.content_type = "application/octet-stream";
        response.body = std::move(reply_);
        answer(std::move(response));
    }
    void fail(unsigned status, const std::string& why) {
        answer(to_response(Problem{status, why}));
    }
    // The first one counts: what is under way ends with the socket.
    void answer(Response response) {
        if (is_answered_) {
            return;
        }
        is_answered_ = true;
        deadline_.cancel();
        error_code ignored;
        socket_.close(ignored);
        respond_(std::move(response));
    }

    GuestSocket socket_;
    boost::asio::steady_timer deadline_;
    std::uint64_t port_;
    std::string body_;
    std::string reply_;
    std::array<char, 16384> buffer_{};
    Respond respond_;
    bool is_answered_ = false;
};

void call(Service& service, boost::asio::io_context& context, const Request& request,
          Respond respond) {
    expect_parameters(request, {"port", "timeout_s"});
    const node::MicroVm& microvm = find_microvm(service, request.path[2]);
    if (!request.query.contains("port")) {
        throw Problem{400, "the parameter port is missing"};
    }
    constexpr std::uint64_t any_port = 0xFFFF'FFFF;  // VMADDR_PORT_ANY: no port itself
    const std::uint64_t port = number_of(request, "port", 0, any_port - 1);
    const std::uint64_t timeout_s = number_of(request, "timeout_s", 30, 3600);
    // The microVM's host is to be the first who gives up.
    if (pass_on(service, microvm, request, std::chrono::seconds{timeout_s} + passing_on, respond)) {
        return;
    }
    std::make_shared<Call>(context, port, request.body, std::move(respond))
        ->start(vsock_path_of(microvm), std::chrono::seconds{timeout_s});
}

}  // namespace

void add_calls(Api& api, Service& service, boost::asio::io_context& context) {
    api.add("POST", "/v1/microvms/*/call",
            [&service, &context](const Request& request, Respond respond) {
                call(service, context, request, std::move(respond));
            });
}

}  // namespace shoal::rest
