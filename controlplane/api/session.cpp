// Boost.Beast's parser and serializer.
#include "controlplane/api/session.h"

#include <algorithm>
#include <boost/asio/write.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>

#include "controlplane/api/problem.h"
#include "controlplane/api/target.h"

namespace shoal::rest {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

// Also between requests: idle clients connect again.
constexpr std::chrono::seconds read_timeout{60};
// Until a client takes what was written to it.
constexpr std::chrono::seconds write_timeout{30};
// How long a client may go on writing what was refused.
constexpr std::chrono::seconds linger_timeout{2};
constexpr std::size_t linger_bytes = std::size_t{64} << 10;

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

Session::Session(Socket socket, const Handle& handle, std::function<void()> closed)
    : stream_{std::move(socket)}, handle_{handle}, closed_{std::move(closed)} {}

Session::~Session() {
    closed_();
}

void Session::refuse(Response response) {
    write(std::move(response));
}

void Session::close() noexcept {
    source_.reset();
    stream_.close();
}

void Session::read() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(max_header_bytes));
    parser_->body_limit(max_body_bytes);
    stream_.expires_after(read_timeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                         self->on_read(error);
                     });
}

void Session::on_read(beast::error_code error) {
    keep_alive_ = false;
    if (!error) {
        return handle();
    }
    if (is_hang_up(error)) {
        return close();
    }
    write(to_response(problem_of(error)));
}

void Session::handle() {
    const auto& message = parser_->get();
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
    request.body = std::move(parser_->get().body());
    stream_.expires_never();
    handle_(std::move(request),
            [self = shared_from_this()](Response response) { self->write(std::move(response)); });
}

void Session::write(Response response) {
    stream_.expires_after(write_timeout);
    if (response.source) {
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
    beast::error_code ignored;
    stream_.socket().shutdown(Socket::shutdown_send, ignored);
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
    source_ = std::move(response.source);
    head_.emplace();
    fill_head(*head_, response, false);
    head_->chunked(true);
    writer_.emplace(*head_);
    watch_hang_up();
    http::async_write_header(stream_, *writer_,
                             [self = shared_from_this()](beast::error_code error, std::size_t) {
                                 error ? self->close() : self->next_piece();
                             });
}

void Session::next_piece() {
    if (!source_) {
        return;
    }
    stream_.expires_never();
    source_->next([self = shared_from_this()](std::optional<std::string> piece) {
        self->write_piece(std::move(piece));
    });
}

void Session::write_piece(std::optional<std::string> piece) {
    stream_.expires_after(write_timeout);
    const bool is_last = !piece;
    piece_ = std::move(piece).value_or(std::string{});
    auto on_written = [self = shared_from_this(), is_last](beast::error_code error, std::size_t) {
        error || is_last ? self->close() : self->next_piece();
    };
    if (is_last) {
        boost::asio::async_write(stream_, http::make_chunk_last(), std::move(on_written));
    } else {
        boost::asio::async_write(stream_, http::make_chunk(boost::asio::buffer(piece_)),
                                 std::move(on_written));
    }
}

// Nothing is read while an answer goes on: what comes is the end, or a mistake.
void Session::watch_hang_up() {
    stream_.async_read_some(boost::asio::buffer(unexpected_),
                            [weak = weak_from_this()](beast::error_code, std::size_t) {
                                if (const auto self = weak.lock()) {
                                    self->close();
                                }
                            });
}

}  // namespace shoal::rest
