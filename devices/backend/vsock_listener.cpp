// A listening unix socket that cleans up after itself.
#include "devices/backend/vsock_listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

#include "devices/backend/vsock_address.h"
#include "devices/host/os_error.h"

namespace shoal::backend {
namespace {

// The kernel cuts it to net.core.somaxconn.
constexpr int backlog = 4096;

sockaddr_un checked_address(const std::string& path) {
    const auto address = unix_address(path);
    if (!address) {
        throw std::invalid_argument("vsock uds_path \"" + path + "\" has " +
                                    std::to_string(path.size()) + " bytes: 1 to " +
                                    std::to_string(max_unix_path_bytes) + " are possible");
    }
    return *address;
}

}  // namespace

VsockListener::VsockListener(std::string path) : path_{std::move(path)} {
    const sockaddr_un address = checked_address(path_);
    fd_ = host::UniqueFd{host::check_os(
        ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "vsock socket")};
    // SAFETY: bind takes every kind of address as a sockaddr.
    if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
        host::throw_os_error("vsock uds_path " + path_);
    }
    struct stat info {};
    if (::lstat(path_.c_str(), &info) < 0) {
        host::throw_os_error("vsock uds_path " + path_);
    }
    device_ = info.st_dev;
    inode_ = info.st_ino;
    if (::listen(fd_.get(), backlog) < 0) {
        const int error = errno;
        ::unlink(path_.c_str());
        host::throw_os_error("vsock uds_path " + path_, error);
    }
}

VsockListener::~VsockListener() {
    if (is_at_its_path()) {
        ::unlink(path_.c_str());
    }
}

bool VsockListener::is_at_its_path() const noexcept {
    struct stat info {};
    return ::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_;
}

AcceptedSocket VsockListener::accept() const noexcept {
    host::UniqueFd fd{::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    const auto error = fd ? std::errc{} : static_cast<std::errc>(errno);
    return {std::move(fd), error};
}

}  // namespace shoal::backend
