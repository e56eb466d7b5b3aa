// Sending and receiving vhost-user messages.
#include "devices/backend/vhost_user_channel.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include "devices/host/clock.h"
#include "devices/host/os_error.h"

namespace shoal::backend {
namespace {

std::unexpected<std::error_code> error(int number) {
    return std::unexpected(std::error_code{number, std::generic_category()});
}

std::uint64_t now_ms() noexcept {
    return host::monotonic_ns() / 1'000'000;
}

host::UniqueFd connect_to(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        throw std::invalid_argument("the socket path " + path + " is longer than " +
                                    std::to_string(sizeof address.sun_path - 1) + " bytes");
    }
    std::ranges::copy(path, address.sun_path);
    host::UniqueFd socket{
        host::check_os(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    // Where the backend's backlog is full, connect() waits.
    constexpr timeval time_limit{VhostUserChannel::time_limit_ms / 1000, 0};
    host::check_os(
        ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &time_limit, sizeof time_limit),
        "setsockopt");
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        host::throw_os_error("connecting to the vhost-user backend at " + path);
    }
    return socket;
}

}  // namespace

VhostUserChannel::VhostUserChannel(const std::string& socket_path)
    : socket_{connect_to(socket_path)} {}

void VhostUserChannel::begin_conversation() noexcept {
    deadline_ms_ = now_ms() + time_limit_ms;
}

bool VhostUserChannel::wait_for(short event) const noexcept {
    const std::uint64_t now = now_ms();
    pollfd query{socket_.get(), event, 0};
    return now < deadline_ms_ && ::poll(&query, 1, static_cast<int>(deadline_ms_ - now)) != 0;
}

VhostUserResult<void> VhostUserChannel::send(const VhostUserMessage& message) const noexcept {
    iovec parts[2] = {
        {const_cast<VhostUserMessage::Header*>(&message.header), sizeof message.header},
        {const_cast<std::byte*>(message.payload.data()), message.header.size_bytes},
    };
    msghdr wrapped{};
    wrapped.msg_iov = parts;
    wrapped.msg_iovlen = 2;
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * VhostUserMessage::max_fds)>
        control{};
    if (message.fd_count > 0) {
        const std::size_t fd_bytes = sizeof(int) * message.fd_count;
        wrapped.msg_control = control.data();
        wrapped.msg_controllen = CMSG_SPACE(fd_bytes);
        cmsghdr* const rights = CMSG_FIRSTHDR(&wrapped);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fd_bytes);
        std::memcpy(CMSG_DATA(rights), message.fds.data(), fd_bytes);
    }
    ssize_t sent = -1;
    while (sent < 0) {
        if (!wait_for(POLLOUT)) {
            return error(ETIMEDOUT);
        }
        sent = ::sendmsg(socket_.get(), &wrapped, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EINTR && errno != EAGAIN) {
            return error(errno);
        }
    }
    // Far smaller than a socket's buffer: all or nothing.
    const std::size_t expected = sizeof(VhostUserMessage::Header) + message.header.size_bytes;
    return static_cast<std::size_t>(sent) == expected ? VhostUserResult<void>{} : error(EPIPE);
}

VhostUserResult<void> VhostUserChannel::ask(VhostUserMessage& message) const noexcept {
    auto answered = send(message);
    if (answered) {
        answered = receive(message);
    }
    if (!answered) {
        ::shutdown(socket_.get(), SHUT_RDWR);
    }
    return answered;
}

VhostUserResult<void> VhostUserChannel::receive(VhostUserMessage& message) const noexcept {
    VhostUserMessage::Header header;
    // SAFETY: a header is any 12 bytes.
    const std::span bytes{reinterpret_cast<std::byte*>(&header), sizeof header};
    if (auto read = receive_bytes(bytes); !read) {
        return read;
    }
    if (header.request != message.header.request ||
        (header.flags & VhostUserMessage::flag_reply) == 0 ||
        header.size_bytes > message.payload.size()) {
        return error(EPROTO);
    }
    message.header = header;
    return receive_bytes(std::span{message.payload}.first(header.size_bytes));
}

VhostUserResult<void> VhostUserChannel::receive_bytes(std::span<std::byte> into) const noexcept {
    while (!into.empty()) {
        if (!wait_for(POLLIN)) {
            return error(ETIMEDOUT);
        }
        const ssize_t count = ::recv(socket_.get(), into.data(), into.size(), MSG_DONTWAIT);
        if (count == 0) {
            return error(ECONNRESET);
        }
        if (count < 0 && errno != EINTR && errno != EAGAIN) {
            return error(errno);
        }
        into = into.subspan(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    }
    return {};
}

}  // namespace shoal::backend
