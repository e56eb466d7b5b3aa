// UnixSocket: options of setsockopt and getsockopt.
#include <cstring>

#include "guest/kernel/net/unix_socket.h"

namespace shoal::guest {
namespace {

// <asm-generic/socket.h>
constexpr std::uint32_t socket_level = 1;  // SOL_SOCKET
enum class Name : std::uint32_t {
    reuse_address = 2,
    broadcast = 6,
    send_buffer = 7,
    receive_buffer = 8,
    keep_alive = 9,
    linger = 13,
    reuse_port = 15,
    pass_credentials = 16,
    peer_credentials = 17,
    send_buffer_force = 32,
    receive_buffer_force = 33,
};

template <class T>
std::size_t put(std::span<std::byte> value, const T& from) {
    static_assert(sizeof from <= Socket::option_bytes_max);
    std::memcpy(value.data(), &from, sizeof from);
    return sizeof from;
}

}  // namespace

Result<void> UnixSocket::set_option(SocketOption option, std::span<const std::byte> value) {
    if (option.level != socket_level) {
        return fail(Errno::opnotsupp);
    }
    std::uint32_t number = 0;
    if (value.size() < sizeof number) {
        return fail(Errno::inval);
    }
    std::memcpy(&number, value.data(), sizeof number);
    switch (static_cast<Name>(option.name)) {
        case Name::pass_credentials:
            passes_credentials_ = number != 0;
            return {};
        case Name::reuse_address:
        case Name::reuse_port:
        case Name::broadcast:
        case Name::keep_alive:
        case Name::linger:
        case Name::send_buffer:
        case Name::receive_buffer:
        case Name::send_buffer_force:
        case Name::receive_buffer_force:
            return {};  // nothing to do, or sized by us
        case Name::peer_credentials:
            break;
    }
    return fail(Errno::noprotoopt);
}

Result<std::size_t> UnixSocket::get_option(SocketOption option, std::span<std::byte> value) const {
    if (option.level != socket_level) {
        return fail(Errno::opnotsupp);
    }
    switch (static_cast<Name>(option.name)) {
        case Name::pass_credentials:
            return put(value, std::uint32_t{passes_credentials_ ? 1U : 0U});
        case Name::peer_credentials:
            return put(value, state_ == State::connected ? peer_credentials_ : no_credentials);
        case Name::send_buffer:
        case Name::receive_buffer:
            return put(value, static_cast<std::uint32_t>(buffer_bytes));
        case Name::reuse_address:
        case Name::reuse_port:
        case Name::broadcast:
        case Name::keep_alive:
            return put(value, std::uint32_t{0});
        case Name::linger:
            return put(value, std::array<std::uint32_t, 2>{});
        case Name::send_buffer_force:
        case Name::receive_buffer_force:
            break;
    }
    return fail(Errno::noprotoopt);
}

}  // namespace shoal::guest
