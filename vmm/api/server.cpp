// Accepts connections, up to ten.
#include "vmm/api/server.h"

#include <sys/socket.h>

#include <chrono>
#include <stdexcept>
#include <utility>

namespace shoal::api {
namespace {

using boost::asio::local::stream_protocol;
using boost::system::error_code;

// How long not to accept after that failed: the process may be out of descriptors.
constexpr std::chrono::milliseconds accept_pause{100};

void listen(stream_protocol::acceptor& acceptor, const std::string& path) {
    error_code error;
    if (path.size() < sizeof(sockaddr_un::sun_path)) {
        acceptor.open(stream_protocol{}, error);
        if (!error) {
            acceptor.bind(stream_protocol::endpoint{path}, error);
        }
        if (!error) {
            acceptor.listen(stream_protocol::acceptor::max_listen_connections, error);
        }
    } else {
        error = boost::asio::error::name_too_long;
    }
    if (error) {
        throw std::runtime_error("Failed to open the API socket at: " + path +
                                 ". Check that it is not already used.");
    }
}

}  // namespace

Server::Server(boost::asio::io_context& context, const std::string& path,
               std::size_t max_body_bytes, Session::Handler handler)
    : acceptor_{context},
      retry_{context},
      max_body_bytes_{max_body_bytes},
      handler_{std::move(handler)} {
    listen(acceptor_, path);
    accept();
}

Server::Server(boost::asio::io_context& context, int connection, std::size_t max_body_bytes,
               Session::Handler handler)
    : acceptor_{context},
      retry_{context},
      max_body_bytes_{max_body_bytes},
      handler_{std::move(handler)} {
    error_code error;
    Session::Socket socket{context};
    socket.assign(stream_protocol{}, connection, error);
    if (!error) {
        static_cast<void>(socket.remote_endpoint(error));
    }
    if (error) {
        throw std::runtime_error("the API's connection, descriptor " + std::to_string(connection) +
                                 ", is no open stream socket: " + error.message());
    }
    admit(std::move(socket));
}

Server::~Server() {
    error_code ignored;
    acceptor_.close(ignored);
    retry_.cancel();
    for (const auto& session : sessions_) {
        if (const auto alive = session.lock()) {
            alive->close();
        }
    }
}

void Server::accept() {
    acceptor_.async_accept([this](const error_code& error, Session::Socket socket) {
        if (error == boost::asio::error::operation_aborted) {
            return;  // the server is gone
        }
        if (error) {
            return accept_later();
        }
        admit(std::move(socket));
        accept();
    });
}

void Server::accept_later() {
    retry_.expires_after(accept_pause);
    retry_.async_wait([this](const error_code& error) {
        if (!error) {
            accept();
        }
    });
}

void Server::admit(Session::Socket socket) {
    if (*connection_count_ >= max_connections) {
        const std::string_view text = too_many_connections();
        // The buffer of a new socket has room for it.
        static_cast<void>(
            ::send(socket.native_handle(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
        return;
    }
    ++*connection_count_;
    std::erase_if(sessions_, [](const auto& session) { return session.expired(); });
    const auto session = std::make_shared<Session>(std::move(socket), max_body_bytes_, handler_,
                                                   [count = connection_count_] { --*count; });
    sessions_.push_back(session);
    session->start();
}

}  // namespace shoal::api
