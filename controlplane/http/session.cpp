// Boost.Beast's parser and serializer.
#include "controlplane/http/session.h"

#include <algorithm>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>

#include "controlplane/api/relay.h"
#include "controlplane/http/problem.h"
#include "controlplane/http/target.h"

namespace shoal::rest {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

// Also between requests: idle clients connect again.
constexpr std::chrono::seconds read_timeout{60};
// How long a client may go on writing what was refused.
constexpr std::chrono::seconds linger_timeout{2};
constexpr std::size_t linger_bytes = std::size_t{64} << 10;
// Of a body that comes in pieces.
constexpr std::size_t piece_bytes = std::size_t{256} << 10;

std::string text_of(beast::string_view view) {
    return {view.data(), view.size()};
}

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(), [](char byte) {
        return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
    });
    return text;
}

template <typename Message>
void fill_head(Message& message, const Response& response, bool keep_alive) {
    message.version(11);
    message.result(response.status);
    message.set(http::field::content_type, response.content_type);
    for (const auto& [name, value] : response.headers) {
        message.set(name, value);
    }
    message.keep_alive(keep_alive);
}

Problem problem_of(beast::error_code error) {
    if (error == http::error::body_limit) {
        return {413, "the body has more than " + std::to_string(max_body_bytes) + " bytes"};
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        return {431, "the header has more than " + std::to_string(max_header_bytes) + " bytes"};
    }
    return {400, "this is no HTTP/1.1 request: " + error.message()};
}

bool is_hang_up(beast::error_code error) {
    return error == http::error::end_of_stream || error == http::error::partial_message ||
           error.category() != http::make_error_code(http::error::end_of_stream).category();
}

}  // namespace

// What comes while its request is being handled. Holds on to the session.
class Session::Body final : public Source {
public:
    explicit Body(std::shared_ptr<Session> session) : session_{std::move(session)} {}
    Body(const Body&) = delete;
    Body& operator=(const Body&) = delete;
    ~Body() override = default;

    void next(Handler handler) override { session_->read_piece(self_, std::move(handler)); }
    [[nodiscard]] std::string failure() const override { return failure_; }
    void fail(std::string reason) { failure_ = std::move(reason); }

private:
    std::shared_ptr<Session> session_;
    std::string failure_;
    std::shared_ptr<Body*> self_ = std::make_shared<Body*>(this);
};

Session::Session(Stream stream, const Handle& handle, PutBodies put_bodies,
                 std::function<void()> closed)
    : stream_{std::move(stream)},
      handle_{handle},
      put_bodies_{put_bodies},
      closed_{std::move(closed)} {}

Session::~Session() {
    closed_();
}

void Session::refuse(Response response) {
    write(std::move(response));
}

void Session::close() noexcept {
    is_closed_ = true;
    chunks_.stop();
    stream_.close();
}

void Session::read() {
    pieces_.reset();
    header_.emplace();
    header_->header_limit(static_cast<std::uint32_t>(max_header_bytes));
    header_->body_limit(put_bodies_ == PutBodies::whole ? max_body_bytes : max_streamed_bytes);
    stream_.expires_after(read_timeout);
    http::async_read_header(stream_, buffer_, *header_,
                            [self = shared_from_this()](beast::error_code error, std::size_t) {
                                self->on_header(error);
                            });
}

void Session::on_header(beast::error_code error) {
    keep_alive_ = false;
    if (error) {
        return on_read(error);
    }
    if (put_bodies_ == PutBodies::whole || header_->get().method() != http::verb::put) {
        return read_whole();
    }
    pieces_.emplace(std::move(*header_));
    handle(pieces_->get(), {}, std::make_shared<Body>(shared_from_this()));
}

void Session::read_whole() {
    // Before memory is reserved for it.
    if (header_->content_length().value_or(0) > max_body_bytes) {
        return on_read(http::error::body_limit);
    }
    whole_.emplace(std::move(*header_));
    whole_->body_limit(max_body_bytes);
    if (whole_->is_done()) {
        return on_read({});
    }
    http::async_read(stream_, buffer_, *whole_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                         self->on_read(error);
                     });
}

void Session::on_read(beast::error_code error) {
    if (!error) {
        return handle(whole_->get(), std::move(whole_->get().body()), nullptr);
    }
    if (is_hang_up(error)) {
        return close();
    }
    write(to_response(problem_of(error)));
}

void Session::read_piece(std::weak_ptr<Body*> reader, Source::Handler handler) {
    piece_.resize(piece_bytes);
    auto& body = pieces_->get().body();
    body = {piece_.data(), piece_.size(), true};
    stream_.expires_after(read_timeout);
    is_reading_piece_ = true;
    http::async_read(
        stream_, buffer_, *pieces_,
        [self = shared_from_this(), reader = std::move(reader), handler = std::move(handler)](
            beast::error_code error, std::size_t) mutable {
            self->is_reading_piece_ = false;
            self->stream_.expires_never();
            const auto body_reader = reader.lock();
            if (!body_reader) {
                return;
            }
            if (error && error != http::error::need_buffer) {
                (*body_reader)->fail("the body was cut off: " + error.message());
                return handler(std::nullopt);
            }
            self->piece_.resize(self->piece_.size() - self->pieces_->get().body().size);
            self->piece_.empty() ? handler(std::nullopt) : handler(std::move(self->piece_));
        });
}

template <typename Message>
void Session::handle(const Message& message, std::string body, std::shared_ptr<Source> source) {
    keep_alive_ = message.keep_alive();
    Request request;
    request.method = text_of(message.method_string());
    for (const auto& field : message) {
        request.headers[lower(text_of(field.name_string()))] = text_of(field.value());
    }
    try {
        parse_target({message.target().data(), message.target().size()}, request);
    } catch (const Problem& problem) {
        return write(to_response(problem));
    }
    request.body = std::move(body);
    request.source = std::move(source);
    stream_.expires_never();
    handle_(std::move(request),
            [self = shared_from_this()](Response response) { self->write(std::move(response)); });
}

void Session::write(Response response) {
    if (pieces_ && !pieces_->is_done()) {  // Whoever refuses a body need not read it.
        keep_alive_ = false;
    }
    stream_.expires_after(write_timeout);
    if (response.upgraded) {
        write_upgrade(std::move(response));
    } else if (response.source) {
        write_head(std::move(response));
    } else {
        write_whole(std::move(response));
    }
}

void Session::write_whole(Response response) {
    answer_.emplace();
    fill_head(*answer_, response, keep_alive_);
    answer_->body() = std::move(response.body);
    answer_->prepare_payload();
    http::async_write(stream_, *answer_,
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                          if (error) {
                              self->close();
                          } else if (self->keep_alive_) {
                              self->read();
                          } else {
                              self->linger();
                          }
                      });
}

// A client that still writes what nobody wants would not read the answer if this end were closed.
void Session::linger() {
    if (is_reading_piece_) {
        return close();
    }
    stream_.shutdown_send();
    stream_.expires_after(linger_timeout);
    discard();
}

void Session::discard() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(linger_bytes),
                            [self = shared_from_this()](beast::error_code error, std::size_t) {
                                error ? self->close() : self->discard();
                            });
}

void Session::write_head(Response response) {
    head_.emplace();
    fill_head(*head_, response, false);
    head_->chunked(true);
    writer_.emplace(*head_);
    stream_.expires_never();  // also for the hang-up, which may take as long as the answer
    watch_hang_up();
    stream_.expires_after(write_timeout);
    http::async_write_header(stream_, *writer_,
                             [self = shared_from_this(), source = std::move(response.source)](
                                 beast::error_code error, std::size_t) mutable {
                                 error ? self->close() : self->write_pieces(std::move(source));
                             });
}

// From then on the relay has the stream.
void Session::write_upgrade(Response response) {
    head_.emplace();
    head_->version(11);
    head_->result(response.status);
    head_->set(http::field::connection, "Upgrade");
    head_->set(http::field::upgrade, response.headers["Upgrade"]);
    writer_.emplace(*head_);
    http::async_write_header(
        stream_, *writer_,
        [self = shared_from_this(), response = std::move(response)](beast::error_code error,
                                                                    std::size_t) mutable {
            if (error) {
                return self->close();
            }
            std::shared_ptr<Stream> client{self, &self->stream_};
            std::make_shared<Relay>(std::move(client), std::move(response.upgraded))
                ->start(beast::buffers_to_string(self->buffer_.data()), std::move(response.body));
        });
}

void Session::write_pieces(std::shared_ptr<Source> source) {
    if (is_closed_) {
        return;
    }
    chunks_.start(std::move(source), weak_from_this(), [this](ChunkWriter::End) { close(); });
}

// Nothing is read while an answer goes on: what comes is the end, or a mistake. TLS needs the
// stream until the operation has ended, which close() brings about.
void Session::watch_hang_up() {
    stream_.async_read_some(
        boost::asio::buffer(unexpected_),
        [self = shared_from_this()](beast::error_code, std::size_t) { self->close(); });
}

}  // namespace shoal::rest
