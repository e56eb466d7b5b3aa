// One piece each way is under way at any time.
#include "controlplane/api/relay.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <string_view>
#include <utility>

namespace shoal::rest {
namespace {

using boost::system::error_code;

// For a client to read the end and hang up.
constexpr std::chrono::seconds farewell{2};

}  // namespace

Relay::Relay(std::shared_ptr<Stream> client, std::shared_ptr<Stream> guest)
    : client_{std::move(client)}, guest_{std::move(guest)}, timer_{client_->get_executor()} {}

void Relay::start(std::string from_client, std::string from_guest) {
    early_from_client_ = std::move(from_client);
    early_from_guest_ = std::move(from_guest);
    client_->expires_never();
    guest_->expires_never();
    watch_silence(relay_idle_timeout);
    write_guest(early_from_client_);
    write_client(early_from_guest_);
}

void Relay::read_client() {
    client_->async_read_some(boost::asio::buffer(to_guest_),
                             [self = shared_from_this()](error_code error, std::size_t count) {
                                 if (error) {
                                     return self->close();
                                 }
                                 self->heard_at_ = Clock::now();
                                 self->write_guest({self->to_guest_.data(), count});
                             });
}

void Relay::write_guest(std::string_view bytes) {
    if (bytes.empty() || is_guest_gone_) {
        return read_client();
    }
    boost::asio::async_write(*guest_, boost::asio::buffer(bytes),
                             [self = shared_from_this()](error_code error, std::size_t) {
                                 // What it has said before is still to be read.
                                 self->is_guest_gone_ = self->is_guest_gone_ || error;
                                 self->read_client();
                             });
}

void Relay::read_guest() {
    guest_->async_read_some(boost::asio::buffer(to_client_),
                            [self = shared_from_this()](error_code error, std::size_t count) {
                                if (error) {
                                    return self->see_off_client();
                                }
                                self->heard_at_ = Clock::now();
                                self->write_client({self->to_client_.data(), count});
                            });
}

void Relay::write_client(std::string_view bytes) {
    if (bytes.empty()) {
        return read_guest();
    }
    boost::asio::async_write(*client_, boost::asio::buffer(bytes),
                             [self = shared_from_this()](error_code error, std::size_t) {
                                 error ? self->close() : self->read_guest();
                             });
}

// What it still writes is read: a connection that is closed before would lose what was written.
void Relay::see_off_client() {
    is_guest_gone_ = true;
    guest_->close();
    client_->shutdown_send();
    timer_.expires_after(farewell);
    timer_.async_wait([weak = weak_from_this()](error_code error) {
        if (const auto self = weak.lock(); self && !error) {
            self->close();
        }
    });
}

void Relay::watch_silence(Clock::duration duration) {
    timer_.expires_after(duration);
    timer_.async_wait([weak = weak_from_this()](error_code error) {
        const auto self = weak.lock();
        if (!self || error) {
            return;
        }
        const auto silence = Clock::now() - self->heard_at_;
        silence < relay_idle_timeout ? self->watch_silence(relay_idle_timeout - silence)
                                     : self->close();
    });
}

void Relay::close() noexcept {
    timer_.cancel();
    client_->close();
    guest_->close();
}

}  // namespace shoal::rest
