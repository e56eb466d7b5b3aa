// A chain of asynchronous steps: resolve, connect, TLS, write, read. Each holds the connection.
#include "controlplane/store/http_connection.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdlib>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <utility>

#include "controlplane/store/etcd_answer.h"

namespace shoal::store {

namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

constexpr std::uint32_t max_header_bytes = 16384;

}  // namespace

HttpConnection::HttpConnection(asio::io_context& context, Endpoint endpoint, Tls tls)
    : resolver_{context},
      endpoint_{std::move(endpoint)},
      tls_{std::move(tls)},
      stream_{asio::ip::tcp::socket{context}, tls_.get()} {}

void HttpConnection::call(const std::string& path, std::string body, Duration timeout,
                          AnswerHandler handler) {
    on_answer_ = std::move(handler);
    start(path, std::move(body), timeout);
}

void HttpConnection::stream(const std::string& path, std::string body, Duration timeout,
                            PieceHandler handler) {
    on_piece_ = std::move(handler);
    start(path, std::move(body), timeout);
}

void HttpConnection::start(const std::string& path, std::string body, Duration timeout) {
    request_ = Request{http::verb::post, path, 11};
    request_.set(http::field::host, endpoint_.host + ":" + endpoint_.port);
    request_.set(http::field::content_type, "application/json");
    request_.body() = std::move(body);
    request_.prepare_payload();
    stream_.expires_after(timeout);
    if (is_open_) {
        write();
    } else {
        resolve();
    }
}

void HttpConnection::resolve() {
    error_code error;
    const auto address = asio::ip::make_address(endpoint_.host, error);
    if (!error) {
        const auto port =
            static_cast<std::uint16_t>(std::strtoul(endpoint_.port.c_str(), nullptr, 10));
        return connect(asio::ip::tcp::endpoint{address, port});
    }
    resolver_.async_resolve(
        endpoint_.host, endpoint_.port,
        [self = shared_from_this()](const error_code& failed, const auto& found) {
            if (failed) {
                return self->fail(HttpFault::not_sent);
            }
            self->connect(found);
        });
}

template <typename Where>
void HttpConnection::connect(const Where& where) {
    stream_.tcp()->async_connect(
        where, [self = shared_from_this()](const error_code& error, auto&&...) {
            if (error) {
                return self->fail(HttpFault::not_sent);
            }
            error_code ignored;
            self->stream_.tcp()->socket().set_option(asio::ip::tcp::no_delay{true}, ignored);
            self->shake_hands();
        });
}

void HttpConnection::shake_hands() {
    auto* const secure = stream_.secure();
    if (secure == nullptr) {
        is_open_ = true;
        return write();
    }
    secure->set_verify_callback(asio::ssl::host_name_verification{endpoint_.host});
    // SSL_set_tlsext_host_name(), without the cast of its macro.
    SSL_ctrl(secure->native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             endpoint_.host.data());
    secure->async_handshake(asio::ssl::stream_base::client,
                            [self = shared_from_this()](const error_code& error) {
                                if (error) {
                                    return self->fail(HttpFault::not_sent);
                                }
                                self->is_open_ = true;
                                self->write();
                            });
}

void HttpConnection::write() {
    const auto next = [self = shared_from_this()](const error_code& error, std::size_t) {
        if (error) {
            return self->fail(HttpFault::lost);
        }
        if (self->on_piece_) {
            self->read_header();
        } else {
            self->read_answer();
        }
    };
    http::async_write(stream_, request_, next);
}

void HttpConnection::read_answer() {
    answer_.emplace();
    answer_->body_limit(etcd::max_answer_bytes);
    answer_->header_limit(max_header_bytes);
    const auto next = [self = shared_from_this()](const error_code& error, std::size_t) {
        if (error) {
            const bool is_large = error == http::error::body_limit;
            return self->fail(is_large ? HttpFault::too_large : HttpFault::lost);
        }
        if (!self->answer_->get().keep_alive()) {
            self->is_open_ = false;
        }
        self->stream_.expires_never();
        if (auto handler = std::exchange(self->on_answer_, nullptr)) {
            auto& message = self->answer_->get();
            handler(HttpAnswer{message.result_int(), std::move(message.body())});
        }
    };
    http::async_read(stream_, buffer_, *answer_, next);
}

void HttpConnection::read_header() {
    pieces_.emplace();
    pieces_->body_limit(boost::none);  // Endless; who takes the pieces bounds them.
    pieces_->header_limit(max_header_bytes);
    const auto next = [self = shared_from_this()](const error_code& error, std::size_t) {
        if (error || self->pieces_->get().result() != http::status::ok) {
            return self->fail(HttpFault::lost);
        }
        self->stream_.expires_never();
        self->read_piece();
    };
    http::async_read_header(stream_, buffer_, *pieces_, next);
}

void HttpConnection::read_piece() {
    auto& body = pieces_->get().body();
    body.data = piece_.data();
    body.size = piece_.size();
    const auto next = [self = shared_from_this()](const error_code& error, std::size_t) {
        if (error && error != http::error::need_buffer) {
            return self->fail(HttpFault::lost);
        }
        const std::size_t size = self->piece_.size() - self->pieces_->get().body().size;
        if (size > 0 && self->on_piece_) {
            // Called from a place of its own: it may close this connection, which clears it.
            auto handler = std::exchange(self->on_piece_, nullptr);
            self->on_piece_is_running_ = true;
            handler({self->piece_.data(), size});
            if (std::exchange(self->on_piece_is_running_, false)) {
                self->on_piece_ = std::move(handler);
            }
        }
        if (!self->on_piece_) {
            return;
        }
        if (self->pieces_->is_done()) {
            return self->fail(HttpFault::lost);
        }
        self->read_piece();
    };
    http::async_read_some(stream_, buffer_, *pieces_, next);
}

void HttpConnection::fail(HttpFault fault) {
    auto on_answer = std::exchange(on_answer_, nullptr);
    auto on_piece = std::exchange(on_piece_, nullptr);
    close();
    if (on_answer) {
        on_answer(fault);
    }
    if (on_piece) {
        on_piece({});
    }
}

void HttpConnection::close() noexcept {
    on_answer_ = nullptr;
    on_piece_ = nullptr;
    on_piece_is_running_ = false;
    is_open_ = false;
    resolver_.cancel();
    stream_.close();
}

bool HttpConnection::is_reusable() noexcept {
    if (!is_open_ || on_answer_ || on_piece_) {
        return false;
    }
    char byte = 0;
    const auto got =
        ::recv(stream_.tcp()->socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    // Nothing to read and no end: as it should be. (TLS may have sent us session tickets.)
    return got < 0 ? errno == EAGAIN : got > 0 && tls_ != nullptr;
}

}  // namespace shoal::store
