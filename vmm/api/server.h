// Server: the API's unix socket, or one connection that somebody else made, on the VMM's event
// loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "vmm/api/session.h"

namespace shoal::api {

inline constexpr std::size_t default_max_body_bytes = 51200;
inline constexpr std::size_t max_connections = 10;

class Server {
public:
    // Listens on `path`, which must not exist; as in Firecracker nobody removes it at the end.
    // Throws std::runtime_error with Firecracker's sentence.
    Server(boost::asio::io_context& context, const std::string& path, std::size_t max_body_bytes,
           Session::Handler handler);
    // Serves this open connection alone, and takes it. Throws std::runtime_error when it is none.
    Server(boost::asio::io_context& context, int connection, std::size_t max_body_bytes,
           Session::Handler handler);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

private:
    void accept();
    void accept_later();
    void admit(Session::Socket socket);

    boost::asio::local::stream_protocol::acceptor acceptor_;
    boost::asio::steady_timer retry_;
    std::size_t max_body_bytes_;
    Session::Handler handler_;
    // Sessions count themselves; they may outlive the server by what is pending in the loop.
    std::shared_ptr<std::size_t> connection_count_ = std::make_shared<std::size_t>(0);
    std::vector<std::weak_ptr<Session>> sessions_;
};

}  // namespace shoal::api
