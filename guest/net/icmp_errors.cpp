// Sees ICMP's packets before lwIP, which handles them all the same.
#include "guest/net/icmp_errors.h"

#include <lwip/icmp6.h>
#include <lwip/inet_chksum.h>
#include <lwip/raw.h>

#include <array>

#include "guest/net/refused_datagram.h"
#include "guest/net/udp_socket.h"

namespace shoal::guest::net {
namespace {

// The packet begins with the message. There are no checksums on the loopback interface.
bool is_intact(pbuf* packet, IcmpVersion version) {
    const bool is_v4 = version == IcmpVersion::v4;
    const unsigned check = is_v4 ? NETIF_CHECKSUM_CHECK_ICMP : NETIF_CHECKSUM_CHECK_ICMP6;
    if ((ip_current_input_netif()->chksum_flags & check) == 0) {
        return true;
    }
    if (is_v4) {
        return inet_chksum_pbuf(packet) == 0;
    }
    return ip6_chksum_pseudo(packet, IP6_NEXTH_ICMP6, packet->tot_len, ip6_current_src_addr(),
                             ip6_current_dest_addr()) == 0;
}

// The packet begins with its IP header, and stays lwIP's.
template <IcmpVersion version>
u8_t on_message(void*, raw_pcb*, pbuf* packet, const ip_addr_t*) {
    constexpr u8_t is_not_eaten = 0;
    const std::uint16_t header_bytes = ip_current_header_tot_len();
    std::array<std::byte, refusal_bytes_max> bytes;
    const std::size_t count = pbuf_copy_partial(packet, bytes.data(), bytes.size(), header_bytes);
    const auto refused = refused_datagram(std::span{bytes}.first(count), version);
    if (refused && pbuf_remove_header(packet, header_bytes) == 0) {
        const bool counts = is_intact(packet, version);
        pbuf_add_header_force(packet, header_bytes);
        if (counts) {
            UdpSocket::note_refused(*refused);
        }
    }
    return is_not_eaten;
}

void expect_from(u8_t address_type, u8_t protocol, raw_recv_fn on_received) {
    if (raw_pcb* pcb = raw_new_ip_type(address_type, protocol)) {
        raw_recv(pcb, on_received, nullptr);
    }
}

}  // namespace

void expect_icmp_errors() {
    expect_from(IPADDR_TYPE_V4, IP_PROTO_ICMP, on_message<IcmpVersion::v4>);
    expect_from(IPADDR_TYPE_V6, IP6_NEXTH_ICMP6, on_message<IcmpVersion::v6>);
}

}  // namespace shoal::guest::net
