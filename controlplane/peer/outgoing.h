// Outgoing: one request to another host, and its answer. A connection of its own.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/http/chunk_writer.h"
#include "controlplane/http/problem.h"
#include "controlplane/http/stream.h"
#include "controlplane/peer/client.h"

namespace shoal::peer {

// Owned by a shared_ptr: what waits in the loop, and later the answer's source, hold on to it.
class Outgoing : public std::enable_shared_from_this<Outgoing> {
public:
    Outgoing(boost::asio::io_context& context, Tls tls, Peer peer, Patience patience,
             rest::Respond respond);

    void start(const rest::Request& request);

private:
    using Head = boost::beast::http::request<boost::beast::http::string_body>;
    using Pieces = boost::beast::http::response_parser<boost::beast::http::buffer_body>;
    class Body;

    void connect();
    void shake_hands();
    void write();
    void write_pieces();
    void read_header();
    void on_header();
    void on_upgraded();
    void gather(std::shared_ptr<rest::Source> body);
    void read_piece(std::weak_ptr<Body*> reader, rest::Source::Handler handler);
    void wait_for(std::chrono::seconds duration);
    void answer(rest::Response response);
    void fail(boost::system::error_code error);
    [[nodiscard]] rest::Problem problem_of(boost::system::error_code error) const;
    void close() noexcept;

    Tls tls_;
    Peer peer_;
    Patience patience_;
    rest::Respond respond_;
    rest::Stream stream_;
    boost::asio::steady_timer deadline_;
    std::chrono::seconds waits_for_{};
    bool is_late_ = false;
    Head head_;
    std::optional<boost::beast::http::request_serializer<boost::beast::http::string_body>> writer_;
    std::shared_ptr<rest::Source> source_;
    rest::ChunkWriter chunks_{stream_};
    boost::beast::flat_buffer buffer_;
    Pieces pieces_;
    std::string piece_;
    rest::Response response_;
};

}  // namespace shoal::peer
