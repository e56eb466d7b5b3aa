// HttpConnection: one HTTP/1.1 connection to one server, over TCP or TLS. One request at a time.
#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "controlplane/http/stream.h"

namespace shoal::store {

struct Endpoint {
    std::string host;  // a name or an address
    std::string port;
};

enum class HttpFault {
    not_sent,   // the server was not reached, nothing has happened
    lost,       // sent, perhaps, and no answer
    too_large,  // the answer is larger than the limit
};

struct HttpAnswer {
    unsigned status = 0;
    std::string body;
};

using HttpOutcome = std::variant<HttpAnswer, HttpFault>;

// Owned by a shared_ptr, since operations in the loop hold on to it. The loop's thread only.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
public:
    using Tls = std::shared_ptr<boost::asio::ssl::context>;
    using Duration = std::chrono::steady_clock::duration;
    using AnswerHandler = std::move_only_function<void(HttpOutcome)>;
    // A piece of an endless answer's body; empty: the stream has ended.
    using PieceHandler = std::move_only_function<void(std::string_view)>;

    // Without `tls`: plain TCP.
    HttpConnection(boost::asio::io_context& context, Endpoint endpoint, Tls tls);

    // POSTs; connects first where need be. All of it takes at most `timeout`.
    void call(const std::string& path, std::string body, Duration timeout, AnswerHandler handler);
    // POSTs, then hands over the answer piece by piece until close(). `timeout` bounds the time
    // until its first byte.
    void stream(const std::string& path, std::string body, Duration timeout, PieceHandler handler);
    // No handler runs afterwards.
    void close() noexcept;

    // Open, unused, and the server has not hung up.
    [[nodiscard]] bool is_reusable() noexcept;

private:
    using Request = boost::beast::http::request<boost::beast::http::string_body>;
    using Answer = boost::beast::http::response_parser<boost::beast::http::string_body>;
    using Pieces = boost::beast::http::response_parser<boost::beast::http::buffer_body>;

    void start(const std::string& path, std::string body, Duration timeout);
    void resolve();
    template <typename Where>
    void connect(const Where& where);
    void shake_hands();
    void write();
    void read_answer();
    void read_header();
    void read_piece();
    void fail(HttpFault fault);

    boost::asio::ip::tcp::resolver resolver_;
    Endpoint endpoint_;
    Tls tls_;
    rest::Stream stream_;
    bool is_open_ = false;
    Request request_;
    boost::beast::flat_buffer buffer_;
    std::optional<Answer> answer_;
    std::optional<Pieces> pieces_;
    std::array<char, 32768> piece_{};
    AnswerHandler on_answer_;
    PieceHandler on_piece_;
    bool on_piece_is_running_ = false;
};

}  // namespace shoal::store
