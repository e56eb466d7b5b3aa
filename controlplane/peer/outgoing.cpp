// The answer is read from when the request is written: whoever refuses a long one does not read it.
#include "controlplane/peer/outgoing.h"

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <utility>

#include "controlplane/api/pass_on.h"
#include "controlplane/http/problem.h"
#include "controlplane/http/session.h"
#include "controlplane/http/target.h"
#include "controlplane/peer/endpoint.h"
#include "controlplane/peer/socket_options.h"

namespace shoal::peer {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t piece_bytes = std::size_t{64} << 10;
// For the answer of a host that has stopped reading.
constexpr std::chrono::seconds refusal_timeout{5};

}  // namespace

// What comes of the answer. Whoever drops it hangs up.
class Outgoing::Body final : public rest::Source {
public:
    explicit Body(std::shared_ptr<Outgoing> outgoing) : outgoing_{std::move(outgoing)} {}
    Body(const Body&) = delete;
    Body& operator=(const Body&) = delete;
    ~Body() override { outgoing_->close(); }

    void next(Handler handler) override { outgoing_->read_piece(self_, std::move(handler)); }
    [[nodiscard]] std::string failure() const override { return failure_; }
    void fail(const rest::Problem& problem) { failure_ = problem.what(); }

private:
    std::shared_ptr<Outgoing> outgoing_;
    std::string failure_;
    std::shared_ptr<Body*> self_ = std::make_shared<Body*>(this);
};

Outgoing::Outgoing(asio::io_context& context, Tls tls, Peer peer, Patience patience,
                   rest::Respond respond)
    : tls_{std::move(tls)},
      peer_{std::move(peer)},
      patience_{patience},
      respond_{std::move(respond)},
      stream_{tcp::socket{context}, tls_.get()},
      deadline_{context} {}

void Outgoing::start(const rest::Request& request) {
    head_.version(11);
    head_.method_string(request.method);
    head_.target(rest::to_target(request));
    head_.set(http::field::host, peer_.host);
    if (const auto protocol = request.headers.find("upgrade"); protocol != request.headers.end()) {
        head_.set(http::field::connection, "Upgrade");
        head_.set(http::field::upgrade, protocol->second);
    } else {
        head_.keep_alive(false);
    }
    if (const auto type = request.headers.find("content-type"); type != request.headers.end()) {
        head_.set(http::field::content_type, type->second);
    }
    if (const auto seen = request.headers.find(rest::revision_header);
        seen != request.headers.end()) {
        head_.set(rest::revision_header, seen->second);
    }
    source_ = request.source;
    if (source_) {
        head_.chunked(true);
    } else {
        head_.body() = request.body;
        head_.prepare_payload();
    }
    connect();
}

void Outgoing::connect() {
    wait_for(connect_timeout);
    const auto endpoint = parse_endpoint(peer_.address);
    if (!endpoint) {
        return fail(asio::error::host_not_found);
    }
    stream_.tcp()->async_connect(*endpoint, [self = shared_from_this()](error_code error) {
        if (error) {
            return self->fail(error);
        }
        watch_connection(self->stream_.tcp()->socket());
        self->shake_hands();
    });
}

void Outgoing::shake_hands() {
    auto* const secure = stream_.secure();
    if (secure == nullptr) {
        return write();
    }
    secure->set_verify_callback(asio::ssl::host_name_verification{peer_.host});
    secure->async_handshake(asio::ssl::stream_base::client,
                            [self = shared_from_this()](error_code error) {
                                error ? self->fail(error) : self->write();
                            });
}

// What cannot be written is no failure: the answer says why.
void Outgoing::write() {
    read_header();
    wait_for(patience_.answer);
    if (!source_) {
        return http::async_write(stream_, head_,
                                 [self = shared_from_this()](error_code, std::size_t) {});
    }
    writer_.emplace(head_);
    http::async_write_header(stream_, *writer_,
                             [self = shared_from_this()](error_code error, std::size_t) {
                                 if (!error && self->respond_) {
                                     self->write_pieces();
                                 }
                             });
}

void Outgoing::write_pieces() {
    deadline_.cancel();  // Each piece has its own.
    chunks_.start(source_, weak_from_this(), [this](rest::ChunkWriter::End end) {
        if (end == rest::ChunkWriter::End::whole) {
            return wait_for(patience_.answer);
        }
        if (const std::string why = source_->failure(); !why.empty()) {
            return answer(rest::to_response(rest::Problem{500, why}));
        }
        wait_for(refusal_timeout);
    });
}

void Outgoing::read_header() {
    pieces_.header_limit(static_cast<std::uint32_t>(rest::max_header_bytes));
    pieces_.body_limit(rest::max_streamed_bytes);
    http::async_read_header(stream_, buffer_, pieces_,
                            [self = shared_from_this()](error_code error, std::size_t) {
                                error ? self->fail(error) : self->on_header();
                            });
}

void Outgoing::on_header() {
    if (!respond_) {
        return;
    }
    chunks_.stop();
    response_.status = pieces_.get().result_int();
    const auto type = pieces_.get()[http::field::content_type];
    response_.content_type = {type.data(), type.size()};
    if (pieces_.get().result() == http::status::switching_protocols) {
        return on_upgraded();
    }
    auto body = std::make_shared<Body>(shared_from_this());
    const auto length = pieces_.content_length();
    if (length && *length <= max_whole_answer_bytes) {
        return gather(std::move(body));
    }
    response_.source = std::move(body);
    answer(std::move(response_));
}

// Whoever has the answer has the connection.
void Outgoing::on_upgraded() {
    deadline_.cancel();
    const auto protocol = pieces_.get()[http::field::upgrade];
    response_.headers["Upgrade"] = {protocol.data(), protocol.size()};
    response_.body = boost::beast::buffers_to_string(buffer_.data());
    response_.upgraded = std::shared_ptr<rest::Stream>{shared_from_this(), &stream_};
    answer(std::move(response_));
}

void Outgoing::gather(std::shared_ptr<rest::Source> body) {
    rest::Source& source = *body;
    source.next([this, body = std::move(body)](std::optional<std::string> piece) mutable {
        if (piece) {
            response_.body += *piece;
            return gather(std::move(body));
        }
        if (const std::string why = body->failure(); !why.empty()) {
            return answer(rest::to_response(rest::Problem{502, why}));
        }
        answer(std::move(response_));
    });
}

void Outgoing::read_piece(std::weak_ptr<Body*> reader, rest::Source::Handler handler) {
    patience_.piece.count() > 0 ? wait_for(patience_.piece) : void(deadline_.cancel());
    piece_.resize(piece_bytes);
    pieces_.get().body() = {piece_.data(), piece_.size(), true};
    auto on_read = [self = shared_from_this(), reader = std::move(reader),
                    handler = std::move(handler)](error_code error, std::size_t) mutable {
        const auto body = reader.lock();
        if (!body) {
            return;
        }
        if (error && error != http::error::need_buffer) {
            (*body)->fail(self->problem_of(error));
            return handler(std::nullopt);
        }
        self->piece_.resize(self->piece_.size() - self->pieces_.get().body().size);
        if (!self->piece_.empty()) {
            return handler(std::move(self->piece_));
        }
        self->pieces_.is_done() ? handler(std::nullopt)
                                : self->read_piece(std::move(reader), std::move(handler));
    };
    if (pieces_.is_done()) {  // Nothing more would come.
        return asio::post(stream_.get_executor(),
                          [on_read = std::move(on_read)]() mutable { on_read(error_code{}, 0); });
    }
    http::async_read_some(stream_, buffer_, pieces_, std::move(on_read));
}

void Outgoing::wait_for(std::chrono::seconds duration) {
    waits_for_ = duration;
    deadline_.expires_after(duration);
    deadline_.async_wait([weak = weak_from_this()](error_code error) {
        const auto self = weak.lock();
        if (error || !self) {
            return;
        }
        self->is_late_ = true;
        self->stream_.close();  // What is under way fails.
    });
}

void Outgoing::answer(rest::Response response) {
    if (auto respond = std::exchange(respond_, nullptr)) {
        if (!response.source && !response.upgraded) {
            close();
        }
        respond(std::move(response));
    }
}

void Outgoing::fail(error_code error) {
    answer(rest::to_response(problem_of(error)));
}

rest::Problem Outgoing::problem_of(error_code error) const {
    const std::string name = "host " + peer_.host + " at " + peer_.address;
    if (is_late_) {
        return {504,
                name + " has not answered within " + std::to_string(waits_for_.count()) + " s"};
    }
    return {502, name + " does not answer: " + error.message()};
}

void Outgoing::close() noexcept {
    deadline_.cancel();
    chunks_.stop();
    stream_.close();
}

}  // namespace shoal::peer
