// The ioctls that ask for network interfaces (netdevice(7)). Builds on the host, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/kernel/errno.h"
#include "guest/kernel/net/netlink_answers.h"

namespace shoal::guest {

// struct ifreq as the ioctls below use it: a name, and what is asked or told.
struct InterfaceRequest {
    std::array<char, 16> name{};
    std::array<std::byte, 24> value{};
};
static_assert(sizeof(InterfaceRequest) == 40);

enum class InterfaceCall : std::uint32_t {
    name = 0x8910,          // SIOCGIFNAME
    flags = 0x8913,         // SIOCGIFFLAGS
    address = 0x8915,       // SIOCGIFADDR
    broadcast = 0x8919,     // SIOCGIFBRDADDR
    netmask = 0x891B,       // SIOCGIFNETMASK
    metric = 0x891D,        // SIOCGIFMETRIC
    mtu = 0x8921,           // SIOCGIFMTU
    hardware = 0x8927,      // SIOCGIFHWADDR
    index = 0x8933,         // SIOCGIFINDEX
    queue_length = 0x8942,  // SIOCGIFTXQLEN
};
inline constexpr std::uint32_t list_interfaces = 0x8912;  // SIOCGIFCONF

// Errno::notty for another call, Errno::nodev without such an interface, Errno::addrnotavail
// without an IPv4 address.
[[nodiscard]] Result<void> answer_interface_call(std::uint32_t call, InterfaceRequest& request,
                                                 std::span<const NetInterface> interfaces);

// What SIOCGIFCONF lists: a request with its address for each interface that has one of IPv4.
[[nodiscard]] std::vector<InterfaceRequest> list_of(std::span<const NetInterface> interfaces);

}  // namespace shoal::guest
