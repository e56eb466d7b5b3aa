// Server: the unix socket that the API is on.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <string>

#include "controlplane/http/listener.h"
#include "controlplane/http/session_set.h"

namespace shoal::rest {

class Server {
public:
    // Listens on `path`, replacing a socket that is there: the caller knows that nobody has it.
    // Its user and group may connect. Borrows the context. Throws std::system_error.
    Server(boost::asio::io_context& context, const std::string& path, Handle handle);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

private:
    std::string path_;
    SessionSet sessions_;
    Listener<boost::asio::local::stream_protocol> listener_;
};

}  // namespace shoal::rest
