// Gratuitous ARP and unsolicited neighbour advertisements.
#include "guest/net/announcement.h"

#include <lwip/etharp.h>
#include <lwip/icmp6.h>
#include <lwip/inet_chksum.h>
#include <lwip/ip6.h>
#include <lwip/netif.h>
#include <lwip/prot/nd6.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace shoal::guest::net {
namespace {

constexpr std::uint8_t hop_limit = 255;  // of all neighbour discovery (RFC 4861, 7.1.2)

// Its link-layer option is 8 bytes: type, length in units of 8, and an Ethernet address.
struct Advertisement {
    na_header head;
    lladdr_option link;
};
constexpr std::uint16_t advertisement_bytes = sizeof(na_header) + 8;

void advertise(netif& interface, const ip6_addr_t& address) {
    pbuf* const packet = pbuf_alloc(PBUF_IP, advertisement_bytes, PBUF_RAM);
    if (packet == nullptr) {
        return;
    }
    Advertisement message{};
    message.head.type = ICMP6_TYPE_NA;
    message.head.flags = ND6_FLAG_OVERRIDE;
    ip6_addr_copy_to_packed(message.head.target_address, address);
    message.link.type = ND6_OPTION_TYPE_TARGET_LLADDR;
    message.link.length = 1;
    std::memcpy(message.link.addr, interface.hwaddr, NETIF_MAX_HWADDR_LEN);
    std::memcpy(packet->payload, &message, advertisement_bytes);

    ip6_addr_t everybody;
    ip6_addr_set_allnodes_linklocal(&everybody);
    ip6_addr_assign_zone(&everybody, IP6_MULTICAST, &interface);
    const std::uint16_t sum =
        ip6_chksum_pseudo(packet, IP6_NEXTH_ICMP6, packet->tot_len, &address, &everybody);
    std::memcpy(static_cast<char*>(packet->payload) + offsetof(na_header, chksum), &sum,
                sizeof sum);
    ip6_output_if(packet, &address, &everybody, hop_limit, 0, IP6_NEXTH_ICMP6, &interface);
    pbuf_free(packet);
}

}  // namespace

void announce_addresses(netif& interface) {
    if (!ip4_addr_isany_val(*netif_ip4_addr(&interface))) {
        etharp_gratuitous(&interface);
    }
    for (s8_t idx = 0; idx < LWIP_IPV6_NUM_ADDRESSES; ++idx) {
        if (ip6_addr_isvalid(netif_ip6_addr_state(&interface, idx))) {
            advertise(interface, *netif_ip6_addr(&interface, idx));
        }
    }
}

}  // namespace shoal::guest::net
