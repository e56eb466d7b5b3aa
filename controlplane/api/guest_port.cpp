// One line each way.
#include "controlplane/api/guest_port.h"

#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <cstddef>
#include <utility>

#include "controlplane/api/microvms.h"
#include "controlplane/http/problem.h"

namespace shoal::rest {
namespace {

using boost::system::error_code;

// What the device says before the guest's first byte.
constexpr std::size_t max_greeting_bytes = 64;

class Greeting : public std::enable_shared_from_this<Greeting> {
public:
    Greeting(std::shared_ptr<void> owner, GuestSocket& socket, std::uint64_t port,
             OnGuestAnswer on_answer)
        : owner_{std::move(owner)},
          socket_{socket},
          port_{std::to_string(port)},
          line_{"CONNECT " + port_ + "\n"},
          on_answer_{std::move(on_answer)} {}

    void start(const std::string& path) {
        socket_.async_connect({path}, [self = shared_from_this(), path](error_code error) {
            error ? self->on_answer_({"cannot connect to " + path + ": " + error.message(), {}})
                  : self->write();
        });
    }

private:
    void write() {
        boost::asio::async_write(
            socket_, boost::asio::buffer(line_),
            [self = shared_from_this()](error_code, std::size_t) { self->read(); });
    }
    void read() {
        boost::asio::async_read_until(
            socket_, boost::asio::dynamic_buffer(answer_, max_greeting_bytes), '\n',
            [self = shared_from_this()](error_code error, std::size_t count) {
                if (error || !self->answer_.starts_with("OK ")) {
                    return self->on_answer_(
                        {"nobody listens on port " + self->port_ + " of the microVM", {}});
                }
                self->on_answer_({{}, self->answer_.substr(count)});
            });
    }

    std::shared_ptr<void> owner_;
    GuestSocket& socket_;
    std::string port_;
    std::string line_;
    std::string answer_;
    OnGuestAnswer on_answer_;
};

}  // namespace

std::string vsock_path_of(const node::MicroVm& microvm) {
    const std::string& name = microvm.spec.name;
    if (!microvm.spec.vsock) {
        throw Problem{409,
                      "microVM " + name + " has no vsock device: create it with vsock or exec"};
    }
    if (!microvm.status || microvm.status->phase != model::Phase::running) {
        throw does_not_run(microvm);
    }
    return microvm.status->vsock;
}

void connect_to_guest(std::shared_ptr<void> owner, GuestSocket& socket, const std::string& path,
                      std::uint64_t port, OnGuestAnswer on_answer) {
    std::make_shared<Greeting>(std::move(owner), socket, port, std::move(on_answer))->start(path);
}

}  // namespace shoal::rest
