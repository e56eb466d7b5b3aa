// Session: one connection of the API's socket.
#pragma once

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <functional>
#include <memory>
#include <string>

#include "vmm/api/request_parser.h"

namespace shoal::api {

// Reads a request, has it executed, writes the response, and only then looks at the next one: the
// memory of a connection is bounded by one request and one response. Lives as long as an operation
// of it is pending.
class Session : public std::enable_shared_from_this<Session> {
public:
    using Socket = boost::asio::local::stream_protocol::socket;
    using Handler = std::function<Response(const Request&)>;

    // `closed` is called when the session is over.
    Session(Socket socket, std::size_t max_body_bytes, Handler handler,
            std::function<void()> closed);
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session();

    void start() { read(); }
    void close() noexcept;

private:
    void read();
    // Works on what has been received, up to the first response that is due.
    void proceed();
    void write(std::string bytes);

    Socket socket_;
    RequestParser parser_;
    Handler handler_;
    std::function<void()> closed_;
    std::array<char, 4096> buffer_{};
    std::string_view received_;  // of buffer_, not yet parsed
    std::string outgoing_;
};

}  // namespace shoal::api
