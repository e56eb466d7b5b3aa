// Accepts connections, up to a limit.
#include "controlplane/api/server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <utility>

#include "controlplane/api/problem.h"
#include "devices/host/os_error.h"

namespace shoal::rest {
namespace {

using boost::asio::local::stream_protocol;
using boost::system::error_code;

// How long not to accept after that failed: the process may be out of descriptors.
constexpr std::chrono::milliseconds accept_pause{100};

}  // namespace

Server::Server(boost::asio::io_context& context, const std::string& path, Handle handle)
    : acceptor_{context}, retry_{context}, path_{path}, handle_{std::move(handle)} {
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        host::throw_os_error("cannot listen on " + path, ENAMETOOLONG);
    }
    ::unlink(path.c_str());
    acceptor_.open();
    // Nobody gets in before the mode is what it shall be.
    const mode_t before = ::umask(0177);
    error_code error;
    acceptor_.bind(stream_protocol::endpoint{path}, error);
    ::umask(before);
    if (error) {
        host::throw_os_error("cannot listen on " + path, error.value());
    }
    host::check_os(::chmod(path.c_str(), 0660), "chmod of the socket");
    acceptor_.listen();
    accept();
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
    ::unlink(path_.c_str());
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
    const bool is_full = *connection_count_ >= max_connections;
    ++*connection_count_;
    std::erase_if(sessions_, [](const auto& session) { return session.expired(); });
    const auto session = std::make_shared<Session>(std::move(socket), handle_,
                                                   [count = connection_count_] { --*count; });
    sessions_.push_back(session);
    if (is_full) {
        session->refuse(to_response(
            Problem{503, "there are " + std::to_string(max_connections) + " connections already"}));
    } else {
        session->start();
    }
}

}  // namespace shoal::rest
