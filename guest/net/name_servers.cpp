// The name servers that DHCP has offered. Programs resolve by themselves: lwIP's resolver is left
// out, and this takes its place where lwIP calls it.
#include <lwip/dns.h>

#include <array>

#include "guest/net/net.h"
#include "guest/net/network.h"

namespace shoal::guest::net {
namespace {

constinit NameServers offered{};

}  // namespace

std::vector<Ipv4Bytes> name_servers() {
    const NameServers& chosen = Network::instance().chosen_name_servers();
    std::vector<Ipv4Bytes> found;
    for (const Ipv4Bytes& server : chosen != NameServers{} ? chosen : offered) {
        if (server != Ipv4Bytes{}) {
            found.push_back(server);
        }
    }
    return found;
}

}  // namespace shoal::guest::net

extern "C" {

void dns_init() {}

void dns_setserver(u8_t number, const ip_addr_t* server) {
    using namespace shoal::guest::net;
    if (number >= offered.size()) {
        return;
    }
    const std::uint32_t bytes =
        server != nullptr && IP_IS_V4(server) ? lwip_ntohl(ip4_addr_get_u32(ip_2_ip4(server))) : 0;
    for (unsigned i = 0; i < offered[number].size(); ++i) {
        offered[number][i] = static_cast<std::uint8_t>(bytes >> (24 - 8 * i));
    }
}
}
