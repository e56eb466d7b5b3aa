// The socket families of unit tests: AF_UNIX, which needs no network.
#include "guest/kernel/net/unix_socket.h"

namespace shoal::guest {

const SocketFamily* find_socket_family(std::uint16_t number) noexcept {
    static constexpr SocketFamily local{address_family::local, UnixSocket::make,
                                        UnixSocket::make_pair};
    return number == local.number ? &local : nullptr;
}

std::vector<NetInterface> network_interfaces() {
    return {};
}

std::uint32_t local_vsock_cid() {
    return 3;
}

}  // namespace shoal::guest
