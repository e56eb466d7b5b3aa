// Server: the unix socket that the API is on.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/api/session.h"

namespace shoal::rest {

inline constexpr std::size_t max_connections = 1024;

class Server {
public:
    // Listens on `path`, replacing a socket that is there: the caller knows that nobody has it.
    // Its user and group may connect. Borrows the context. Throws std::system_error.
    Server(boost::asio::io_context& context, const std::string& path, Handle handle);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

private:
    void accept();
    void accept_later();
    void admit(Session::Socket socket);

    boost::asio::local::stream_protocol::acceptor acceptor_;
    boost::asio::steady_timer retry_;
    std::string path_;
    Handle handle_;
    // Sessions count themselves; they may outlive the server by what is pending in the loop.
    std::shared_ptr<std::size_t> connection_count_ = std::make_shared<std::size_t>(0);
    std::vector<std::weak_ptr<Session>> sessions_;
};

}  // namespace shoal::rest
