// The table of families: a line for each.
#include "guest/kernel/net/families.h"

#include <array>

#include "guest/kernel/net/netlink_socket.h"
#include "guest/kernel/net/unix_socket.h"
#include "guest/kernel/net/vsock_socket.h"
#include "guest/kernel/net/vsock_transport.h"
#include "guest/net/net.h"

namespace shoal::guest {
namespace {

constexpr std::array families{
    SocketFamily{address_family::local, UnixSocket::make, UnixSocket::make_pair},
    SocketFamily{address_family::inet, net::make_inet_socket, nullptr},
    SocketFamily{address_family::inet6, net::make_inet_socket, nullptr},
    SocketFamily{address_family::netlink, NetlinkSocket::make, nullptr},
    SocketFamily{address_family::vsock, VsockSocket::make, nullptr},
};

}  // namespace

const SocketFamily* find_socket_family(std::uint16_t number) noexcept {
    for (const SocketFamily& family : families) {
        if (family.number == number) {
            return &family;
        }
    }
    return nullptr;
}

std::vector<NetInterface> network_interfaces() {
    return net::interfaces();
}

std::uint32_t local_vsock_cid() {
    return VsockTransport::instance().guest_cid();
}

}  // namespace shoal::guest
