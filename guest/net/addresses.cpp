// struct sockaddr_in and sockaddr_in6 (<netinet/in.h>).
#include "guest/net/addresses.h"

#include <lwip/def.h>
#include <lwip/netif.h>

#include <array>
#include <cstring>

namespace shoal::guest::net {
namespace {

struct Inet {
    std::uint16_t family;
    std::uint16_t port;  // big endian, as the address
    std::uint32_t address;
    std::uint64_t zeros;
};
static_assert(sizeof(Inet) == 16);

struct Inet6 {
    std::uint16_t family;
    std::uint16_t port;  // big endian
    std::uint32_t flow;
    std::array<std::uint32_t, 4> address;
    std::uint32_t scope;
};
static_assert(sizeof(Inet6) == 28);
constexpr std::size_t inet6_bytes_min = 24;  // without the scope, as RFC 2133 had it

const std::uint32_t mapped_prefix = PP_HTONL(0xFFFF);

bool is_mapped(const std::array<std::uint32_t, 4>& address) {
    return address[0] == 0 && address[1] == 0 && address[2] == mapped_prefix;
}

Endpoint endpoint_of_inet6(const Inet6& given) {
    Endpoint endpoint;
    endpoint.port = lwip_ntohs(given.port);
    if (is_mapped(given.address)) {
        ip_addr_set_ip4_u32_val(endpoint.address, given.address[3]);
        return endpoint;
    }
    ip6_addr_t address{};
    std::memcpy(address.addr, given.address.data(), sizeof address.addr);
    if (ip6_addr_has_scope(&address, IP6_UNKNOWN)) {
        ip6_addr_set_zone(&address, static_cast<std::uint8_t>(given.scope));
        if (given.scope == 0 && netif_default != nullptr) {
            ip6_addr_assign_zone(&address, IP6_UNKNOWN, netif_default);
        }
    }
    ip_addr_copy_from_ip6(endpoint.address, address);
    return endpoint;
}

}  // namespace

Result<Endpoint> endpoint_of(const SocketAddress& address, std::uint16_t family) {
    if (address.size < sizeof(std::uint16_t)) {
        return fail(Errno::inval);
    }
    if (family == address_family::inet) {
        if (address.size < sizeof(Inet)) {
            return fail(Errno::inval);
        }
        const auto given = address.as<Inet>();
        if (given.family != family) {
            return fail(Errno::afnosupport);
        }
        Endpoint endpoint;
        ip_addr_set_ip4_u32_val(endpoint.address, given.address);
        endpoint.port = lwip_ntohs(given.port);
        return endpoint;
    }
    if (address.family() != family) {
        return fail(Errno::afnosupport);
    }
    if (address.size < inet6_bytes_min) {
        return fail(Errno::inval);
    }
    return endpoint_of_inet6(address.as<Inet6>());
}

SocketAddress address_of(const Endpoint& endpoint, std::uint16_t family) {
    const ip_addr_t& address = endpoint.address;
    if (family == address_family::inet) {
        const std::uint32_t value = IP_IS_V4_VAL(address) ? ip_addr_get_ip4_u32(&address) : 0;
        return SocketAddress::of(Inet{family, lwip_htons(endpoint.port), value, 0});
    }
    Inet6 told{family, lwip_htons(endpoint.port), 0, {}, 0};
    if (IP_IS_V6_VAL(address)) {
        std::memcpy(told.address.data(), ip_2_ip6(&address)->addr, sizeof told.address);
        told.scope = ip6_addr_zone(ip_2_ip6(&address));
    } else if (!IP_IS_ANY_TYPE_VAL(address)) {
        told.address[2] = mapped_prefix;
        told.address[3] = ip_addr_get_ip4_u32(&address);
    }
    return SocketAddress::of(told);
}

bool is_ours(ip_addr_t address) {
    if (ip_addr_isany(&address) || ip_addr_isloopback(&address)) {
        return true;
    }
    netif* interface = nullptr;
    NETIF_FOREACH(interface) {
        if (IP_IS_V6_VAL(address) ? netif_get_ip6_addr_match(interface, ip_2_ip6(&address)) >= 0
                                  : ip4_addr_cmp(netif_ip4_addr(interface), ip_2_ip4(&address))) {
            return true;
        }
    }
    return false;
}

Errno errno_of(err_t error) noexcept {
    switch (error) {
        case ERR_OK:
            return Errno{};
        case ERR_MEM:
        case ERR_BUF:
            return Errno::nobufs;
        case ERR_TIMEOUT:
        case ERR_ABRT:  // lwIP gave up: nobody answered
            return Errno::timedout;
        case ERR_RTE:
            return Errno::netunreach;
        case ERR_INPROGRESS:
            return Errno::inprogress;
        case ERR_WOULDBLOCK:
            return Errno::again;
        case ERR_USE:
            return Errno::addrinuse;
        case ERR_ALREADY:
            return Errno::already;
        case ERR_ISCONN:
            return Errno::isconn;
        case ERR_CONN:
            return Errno::notconn;
        case ERR_IF:
            return Errno::netdown;
        case ERR_RST:
            return Errno::connreset;
        case ERR_CLSD:
            return Errno::pipe;
    }
    return Errno::inval;
}

}  // namespace shoal::guest::net
