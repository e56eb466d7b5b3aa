// Unix stream sockets that never block and never raise SIGPIPE.
#include "devices/backend/vsock_socket.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>

#include "devices/backend/vsock_address.h"

namespace shoal::backend {
namespace {

SocketStatus status_of(int error) noexcept {
    switch (error) {
        case EAGAIN:
            return SocketStatus::would_block;
        case EPIPE:
            return SocketStatus::ended;
        default:
            return SocketStatus::failed;
    }
}

// A call that does not wait is hardly ever interrupted, but then nobody would tell us to try again.
template <typename Call>
ssize_t uninterrupted(Call call) noexcept {
    ssize_t result = 0;
    do {
        result = call();
    } while (result < 0 && errno == EINTR);
    return result;
}

msghdr make_message(std::span<const iovec> pieces) noexcept {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());  // the call does not change them
    message.msg_iovlen = pieces.size();
    return message;
}

}  // namespace

std::optional<VsockSocket> VsockSocket::try_connect(const std::string& path) noexcept {
    const auto address = unix_address(path);
    if (!address) {
        return std::nullopt;
    }
    host::UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    // SAFETY: connect takes every kind of address as a sockaddr.
    if (!fd ||
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) < 0) {
        return std::nullopt;
    }
    return VsockSocket{std::move(fd)};
}

SocketResult VsockSocket::read(std::span<const iovec> into) const noexcept {
    msghdr message = make_message(into);
    const ssize_t count =
        uninterrupted([&] { return ::recvmsg(fd_.get(), &message, MSG_DONTWAIT); });
    if (count > 0) {
        return {SocketStatus::moved, static_cast<std::size_t>(count)};
    }
    return {count == 0 ? SocketStatus::ended : status_of(errno), 0};
}

SocketResult VsockSocket::write(std::span<const iovec> from) const noexcept {
    const msghdr message = make_message(from);
    const ssize_t count =
        uninterrupted([&] { return ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL); });
    if (count > 0) {
        return {SocketStatus::moved, static_cast<std::size_t>(count)};
    }
    return {count == 0 ? SocketStatus::would_block : status_of(errno), 0};
}

void VsockSocket::shutdown_write() const noexcept {
    ::shutdown(fd_.get(), SHUT_WR);
}

void VsockSocket::shutdown_read() const noexcept {
    ::shutdown(fd_.get(), SHUT_RD);
}

}  // namespace shoal::backend
