// struct rtmsg, and the attributes that say where a route leads.
#include "guest/kernel/net/netlink_routes.h"

#include "guest/kernel/net/socket_address.h"

namespace shoal::guest {
namespace {

std::span<const std::byte> bytes_of_address(const NetAddress& address) {
    return std::span{address.bytes}.first(address.family == address_family::inet ? 4 : 16);
}

void begin(NetlinkWriter& writer, const NetAddress& to, std::uint8_t prefix_bits,
           std::uint8_t protocol, std::uint8_t scope) {
    rtmsg route{};
    route.rtm_family = to.family;
    route.rtm_dst_len = prefix_bits;
    route.rtm_table = RT_TABLE_MAIN;
    route.rtm_protocol = protocol;
    route.rtm_scope = scope;
    route.rtm_type = RTN_UNICAST;
    writer.begin(RTM_NEWROUTE, NLM_F_MULTI, route);
    writer.add(RTA_TABLE, bytes_of(std::uint32_t{RT_TABLE_MAIN}));
}

// Of the network that the address is in.
NetAddress network_of(const NetAddress& address) {
    NetAddress network = address;
    for (unsigned bit = address.prefix_bits; bit < 8 * network.bytes.size(); ++bit) {
        network.bytes[bit / 8] &= ~(std::byte{0x80} >> bit % 8);
    }
    return network;
}

}  // namespace

void add_routes(NetlinkWriter& writer, const NetInterface& interface, std::uint8_t family) {
    if (interface.is_loopback) {
        return;  // not in the main table
    }
    const auto is_wanted = [&](const NetAddress& address) {
        return family == 0 || family == address.family;
    };
    for (const NetAddress& gateway : interface.gateways) {
        if (is_wanted(gateway)) {
            begin(writer, gateway, 0, RTPROT_BOOT, RT_SCOPE_UNIVERSE);
            writer.add(RTA_GATEWAY, bytes_of_address(gateway));
            writer.add(RTA_OIF, bytes_of(interface.index));
        }
    }
    for (const NetAddress& address : interface.addresses) {
        if (!is_wanted(address)) {
            continue;
        }
        const bool is_v4 = address.family == address_family::inet;
        begin(writer, address, address.prefix_bits, RTPROT_KERNEL,
              is_v4 ? std::uint8_t{RT_SCOPE_LINK} : std::uint8_t{RT_SCOPE_UNIVERSE});
        writer.add(RTA_DST, bytes_of_address(network_of(address)));
        if (is_v4) {
            writer.add(RTA_PREFSRC, bytes_of_address(address));
        }
        writer.add(RTA_OIF, bytes_of(interface.index));
    }
}

}  // namespace shoal::guest
