// Addresses between the program's struct sockaddr_in and sockaddr_in6 and lwIP's.
#pragma once

#include <lwip/err.h>
#include <lwip/ip_addr.h>

#include <cstdint>

#include "guest/kernel/errno.h"
#include "guest/kernel/net/socket_address.h"

namespace shoal::guest::net {

struct Endpoint {
    ip_addr_t address{};
    std::uint16_t port = 0;
};

// Of a socket of `family`: a socket of IPv6 takes IPv4 addresses mapped into IPv6. Errno::inval for
// a size that is too small, Errno::afnosupport for another family.
[[nodiscard]] Result<Endpoint> endpoint_of(const SocketAddress& address, std::uint16_t family);

// As getsockname(2) of a socket of `family` tells it.
[[nodiscard]] SocketAddress address_of(const Endpoint& endpoint, std::uint16_t family);

// Whether a socket may be bound to the address: it is anybody's or one of our own.
[[nodiscard]] bool is_ours(ip_addr_t address);

// What a call of lwIP that failed means.
[[nodiscard]] Errno errno_of(err_t error) noexcept;

}  // namespace shoal::guest::net
