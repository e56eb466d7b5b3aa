// What lwIP knows of its interfaces, for those who ask which there are.
#include <lwip/netif.h>
#include <lwip/priv/nd6_priv.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "guest/kernel/net/netlink_answers.h"
#include "guest/net/net.h"
#include "guest/net/network.h"

namespace shoal::guest::net {
namespace {

constexpr std::uint32_t loopback_index = 1;  // as on Linux
constexpr std::uint32_t loopback_mtu = 65536;
constexpr std::uint8_t prefix6_bits = 64;  // lwIP has no others

NetAddress address4(const netif& interface) {
    NetAddress address;
    address.family = address_family::inet;
    address.prefix_bits =
        static_cast<std::uint8_t>(std::popcount(netif_ip4_netmask(&interface)->addr));
    std::memcpy(address.bytes.data(), &netif_ip4_addr(&interface)->addr, 4);
    return address;
}

NetAddress gateway4(const netif& interface) {
    NetAddress gateway;
    gateway.family = address_family::inet;
    std::memcpy(gateway.bytes.data(), &netif_ip4_gw(&interface)->addr, 4);
    return gateway;
}

NetAddress gateway6(const ip6_addr_t& bytes) {
    NetAddress gateway;
    gateway.family = address_family::inet6;
    std::memcpy(gateway.bytes.data(), bytes.addr, 16);
    return gateway;
}

NetAddress address6(const ip6_addr_t& bytes, bool is_loopback) {
    NetAddress address;
    address.family = address_family::inet6;
    address.prefix_bits = is_loopback ? std::uint8_t{128} : prefix6_bits;
    address.is_link_local = ip6_addr_islinklocal(&bytes);
    std::memcpy(address.bytes.data(), bytes.addr, 16);
    return address;
}

// The address that the program was given one by, or those that routers announced.
void add_gateways6(netif& interface, std::vector<NetAddress>& gateways) {
    if (const void* fixed = shoal_net_ip6_gateway()) {
        gateways.push_back(gateway6(*static_cast<const ip6_addr_t*>(fixed)));
    }
    for (int idx = 0; idx < LWIP_ND6_NUM_ROUTERS; ++idx) {
        const nd6_neighbor_cache_entry* router = default_router_list[idx].neighbor_entry;
        if (router != nullptr && router->netif == &interface) {
            gateways.push_back(gateway6(router->next_hop_address));
        }
    }
}

NetInterface describe(netif& interface) {
    NetInterface result;
    result.is_loopback = interface.name[0] == 'l';
    result.index = result.is_loopback ? loopback_index : loopback_index + 1;
    result.name = result.is_loopback ? "lo" : "eth0";
    result.is_up = netif_is_up(&interface) != 0;
    result.mtu = result.is_loopback ? loopback_mtu : interface.mtu;
    std::memcpy(result.mac.data(), interface.hwaddr,
                std::min<std::size_t>(interface.hwaddr_len, result.mac.size()));
    if (!ip4_addr_isany(netif_ip4_addr(&interface))) {
        result.addresses.push_back(address4(interface));
    }
    if (!ip4_addr_isany(netif_ip4_gw(&interface))) {
        result.gateways.push_back(gateway4(interface));
    }
    if (!result.is_loopback) {
        add_gateways6(interface, result.gateways);
    }
    for (int idx = 0; idx < LWIP_IPV6_NUM_ADDRESSES; ++idx) {
        const auto which = static_cast<s8_t>(idx);
        if (ip6_addr_isvalid(netif_ip6_addr_state(&interface, which))) {
            result.addresses.push_back(
                address6(*netif_ip6_addr(&interface, which), result.is_loopback));
        }
    }
    return result;
}

}  // namespace

std::vector<NetInterface> interfaces() {
    static_cast<void>(Network::instance());
    std::vector<NetInterface> all;
    for (netif* interface = netif_list; interface != nullptr; interface = interface->next) {
        all.push_back(describe(*interface));
    }
    std::ranges::sort(all, {}, &NetInterface::index);
    return all;
}

}  // namespace shoal::guest::net
