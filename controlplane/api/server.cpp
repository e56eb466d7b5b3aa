// Nobody gets in before the socket's mode is what it shall be.
#include "controlplane/api/server.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "devices/host/os_error.h"

namespace shoal::rest {

using boost::asio::local::stream_protocol;
using boost::system::error_code;

Server::Server(boost::asio::io_context& context, const std::string& path, Handle handle)
    : path_{path}, sessions_{std::move(handle), PutBodies::whole}, listener_{context} {
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        host::throw_os_error("cannot listen on " + path, ENAMETOOLONG);
    }
    ::unlink(path.c_str());
    auto& acceptor = listener_.acceptor();
    acceptor.open();
    const mode_t before = ::umask(0177);
    error_code error;
    acceptor.bind(stream_protocol::endpoint{path}, error);
    ::umask(before);
    if (error) {
        host::throw_os_error("cannot listen on " + path, error.value());
    }
    host::check_os(::chmod(path.c_str(), 0660), "chmod of the socket");
    acceptor.listen();
    listener_.start([this](stream_protocol::socket socket) {
        sessions_.begin(*sessions_.add(Stream{std::move(socket)}));
    });
}

Server::~Server() {
    ::unlink(path_.c_str());
}

}  // namespace shoal::rest
