// Session: one connection, one request after the other, HTTP/1.1.
#pragma once

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/api/exchange.h"

namespace shoal::rest {

inline constexpr std::size_t max_header_bytes = std::size_t{16} << 10;

// Owned by a shared_ptr: what waits in the loop holds on to it.
class Session : public std::enable_shared_from_this<Session> {
public:
    using Socket = boost::asio::local::stream_protocol::socket;

    // Borrows `handle`. `closed` is called at the end, once.
    Session(Socket socket, const Handle& handle, std::function<void()> closed);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session();

    void start() { read(); }
    // Answers without reading a request, then closes.
    void refuse(Response response);
    void close() noexcept;

private:
    using Stream = boost::beast::basic_stream<boost::asio::local::stream_protocol>;
    using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
    using Answer = boost::beast::http::response<boost::beast::http::string_body>;
    using Head = boost::beast::http::response<boost::beast::http::empty_body>;

    void read();
    void on_read(boost::beast::error_code error);
    void handle();
    void write(Response response);
    void write_whole(Response response);
    void linger();
    void discard();
    void write_head(Response response);
    void next_piece();
    void write_piece(std::optional<std::string> piece);
    void watch_hang_up();

    Stream stream_;
    const Handle& handle_;
    std::function<void()> closed_;
    boost::beast::flat_buffer buffer_;
    std::optional<Parser> parser_;
    bool keep_alive_ = false;
    std::optional<Answer> answer_;
    std::optional<Head> head_;
    std::optional<boost::beast::http::response_serializer<boost::beast::http::empty_body>> writer_;
    std::unique_ptr<Source> source_;
    std::string piece_;
    std::array<char, 1> unexpected_{};
};

}  // namespace shoal::rest
