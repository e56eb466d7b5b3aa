// What a NETLINK_ROUTE socket answers (rtnetlink(7)): which interfaces, addresses and routes there
// are. Nothing can be changed. Builds on the host, too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace shoal::guest {

struct NetAddress {
    std::uint8_t family = 0;  // AF_INET, AF_INET6
    std::uint8_t prefix_bits = 0;
    std::array<std::byte, 16> bytes{};  // 4 of IPv4
    bool is_link_local = false;
};

struct NetInterface {
    std::uint32_t index = 0;
    std::string name{};
    bool is_loopback = false;
    bool is_up = false;
    std::uint32_t mtu = 0;
    std::array<std::byte, 6> mac{};
    std::vector<NetAddress> addresses{};
    std::vector<NetAddress> gateways{};  // to everywhere; without prefix
};

// IFF_... and ARPHRD_..., as all who ask are told.
[[nodiscard]] std::uint32_t interface_flags(const NetInterface& interface) noexcept;
[[nodiscard]] std::uint16_t hardware_type(const NetInterface& interface) noexcept;

// The datagrams that answer one datagram of requests, for the socket with this port. A request that
// is cut off ends the answers; what is not known is answered with EOPNOTSUPP.
[[nodiscard]] std::vector<std::vector<std::byte>> answer_netlink(
    std::span<const std::byte> requests, std::span<const NetInterface> interfaces,
    std::uint32_t port);

}  // namespace shoal::guest
