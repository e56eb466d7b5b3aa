// Session: one connection, one request after the other, HTTP/1.1.
#pragma once

#include <array>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/http/chunk_writer.h"
#include "controlplane/http/exchange.h"
#include "controlplane/http/stream.h"

namespace shoal::rest {

inline constexpr std::size_t max_header_bytes = std::size_t{16} << 10;
// Of a body that comes in pieces: more than any microVM's memory.
inline constexpr std::uint64_t max_streamed_bytes = std::uint64_t{1} << 40;

// How the bodies of PUT come: those of files are too large to be whole.
enum class PutBodies { whole, in_pieces };

// Owned by a shared_ptr: what waits in the loop holds on to it.
class Session : public std::enable_shared_from_this<Session> {
public:
    // Borrows `handle`. `closed` is called at the end, once.
    Session(Stream stream, const Handle& handle, PutBodies put_bodies,
            std::function<void()> closed);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session();

    void start() { read(); }
    // Answers without reading a request, then closes.
    void refuse(Response response);
    void close() noexcept;
    // For what comes before the first request.
    [[nodiscard]] Stream& stream() noexcept { return stream_; }

private:
    template <typename Body>
    using Parser = boost::beast::http::request_parser<Body>;
    using Answer = boost::beast::http::response<boost::beast::http::string_body>;
    using Head = boost::beast::http::response<boost::beast::http::empty_body>;
    class Body;

    void read();
    void on_header(boost::beast::error_code error);
    void read_whole();
    void on_read(boost::beast::error_code error);
    void read_piece(std::weak_ptr<Body*> reader, Source::Handler handler);
    template <typename Message>
    void handle(const Message& message, std::string body, std::shared_ptr<Source> source);
    void write(Response response);
    void write_whole(Response response);
    void linger();
    void discard();
    void write_head(Response response);
    void write_upgrade(Response response);
    void write_pieces(std::shared_ptr<Source> source);
    void watch_hang_up();

    Stream stream_;
    const Handle& handle_;
    PutBodies put_bodies_;
    std::function<void()> closed_;
    boost::beast::flat_buffer buffer_;
    std::optional<Parser<boost::beast::http::empty_body>> header_;
    std::optional<Parser<boost::beast::http::string_body>> whole_;
    std::optional<Parser<boost::beast::http::buffer_body>> pieces_;
    bool is_reading_piece_ = false;
    bool keep_alive_ = false;
    std::optional<Answer> answer_;
    std::optional<Head> head_;
    std::optional<boost::beast::http::response_serializer<boost::beast::http::empty_body>> writer_;
    ChunkWriter chunks_{stream_};
    std::string piece_;
    bool is_closed_ = false;
    std::array<char, 1> unexpected_{};
};

}  // namespace shoal::rest
