// Messages of netlink: a header of 16 bytes, a fixed part, attributes padded to 4 bytes.
#include "guest/kernel/net/netlink_answers.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>

#include "guest/kernel/errno.h"
#include "guest/kernel/net/netlink_routes.h"
#include "guest/kernel/net/netlink_writer.h"
#include "guest/kernel/net/socket_address.h"

namespace shoal::guest {
namespace {

// Of <net/if.h>, which cannot be included beside the kernel's.
constexpr std::uint32_t iff_up = 0x1;
constexpr std::uint32_t iff_broadcast = 0x2;
constexpr std::uint32_t iff_loopback = 0x8;
constexpr std::uint32_t iff_running = 0x40;
constexpr std::uint32_t iff_multicast = 0x1000;
constexpr std::uint32_t iff_lower_up = 0x10000;
constexpr std::uint16_t type_ethernet = 1;    // ARPHRD_ETHER
constexpr std::uint16_t type_loopback = 772;  // ARPHRD_LOOPBACK
constexpr std::uint8_t state_unknown = 0;     // RFC 2863
constexpr std::uint8_t state_up = 6;
constexpr std::uint32_t queue_length = 1000;

using Bytes = std::vector<std::byte>;
using Writer = NetlinkWriter;

void add_link(Writer& writer, const NetInterface& interface, std::uint16_t flags) {
    ifinfomsg link{};
    link.ifi_type = hardware_type(interface);
    link.ifi_index = static_cast<int>(interface.index);
    link.ifi_flags = interface_flags(interface);
    writer.begin(RTM_NEWLINK, flags, link);
    writer.add(IFLA_IFNAME, interface.name);
    writer.add(IFLA_TXQLEN, bytes_of(queue_length));
    writer.add(IFLA_OPERSTATE, bytes_of(interface.is_loopback ? state_unknown : state_up));
    writer.add(IFLA_MTU, bytes_of(interface.mtu));
    writer.add(IFLA_ADDRESS, interface.mac);
    std::array<std::byte, 6> broadcast{};
    broadcast.fill(interface.is_loopback ? std::byte{0} : std::byte{0xFF});
    writer.add(IFLA_BROADCAST, broadcast);
}

void add_address(Writer& writer, const NetInterface& interface, const NetAddress& address) {
    const bool is_v4 = address.family == address_family::inet;
    ifaddrmsg fixed{};
    fixed.ifa_family = address.family;
    fixed.ifa_prefixlen = address.prefix_bits;
    fixed.ifa_flags = IFA_F_PERMANENT;
    fixed.ifa_scope = interface.is_loopback   ? std::uint8_t{RT_SCOPE_HOST}
                      : address.is_link_local ? std::uint8_t{RT_SCOPE_LINK}
                                              : std::uint8_t{RT_SCOPE_UNIVERSE};
    fixed.ifa_index = interface.index;
    writer.begin(RTM_NEWADDR, NLM_F_MULTI, fixed);
    const auto bytes = std::span{address.bytes}.first(is_v4 ? 4 : 16);
    writer.add(IFA_ADDRESS, bytes);
    if (is_v4) {
        writer.add(IFA_LOCAL, bytes);
        writer.add(IFA_LABEL, interface.name);
    }
    writer.add(IFA_FLAGS, bytes_of(std::uint32_t{IFA_F_PERMANENT}));
}

void add_error(Writer& writer, const nlmsghdr& request, Errno error) {
    writer.begin(NLMSG_ERROR, 0, nlmsgerr{-static_cast<int>(error), request});
}

// The interface that a request for one names by its index, or by its name.
const NetInterface* find(std::span<const std::byte> body,
                         std::span<const NetInterface> interfaces) {
    ifinfomsg wanted{};
    if (body.size() < sizeof wanted) {
        return nullptr;
    }
    std::memcpy(&wanted, body.data(), sizeof wanted);
    std::string_view name;
    for (auto rest = body.subspan(sizeof wanted); rest.size() >= sizeof(rtattr);) {
        rtattr attribute;
        std::memcpy(&attribute, rest.data(), sizeof attribute);
        if (attribute.rta_len < sizeof attribute || attribute.rta_len > rest.size()) {
            break;
        }
        if (attribute.rta_type == IFLA_IFNAME) {
            // SAFETY: bytes seen as chars.
            name = {reinterpret_cast<const char*>(rest.data()) + sizeof attribute,
                    attribute.rta_len - sizeof attribute};
            name = name.substr(0, name.find('\0'));
        }
        rest = rest.subspan(std::min<std::size_t>(RTA_ALIGN(attribute.rta_len), rest.size()));
    }
    const auto found = std::ranges::find_if(interfaces, [&](const NetInterface& interface) {
        return wanted.ifi_index != 0 ? static_cast<int>(interface.index) == wanted.ifi_index
                                     : interface.name == name;
    });
    return found == interfaces.end() ? nullptr : &*found;
}

bool is_dumped(std::uint16_t type) {
    return type == RTM_GETLINK || type == RTM_GETADDR || type == RTM_GETROUTE;
}

// All links, or all addresses or routes of the family that the request asks for, if any.
void dump(Writer& writer, const nlmsghdr& request, std::span<const std::byte> body,
          std::span<const NetInterface> interfaces) {
    const auto family = body.empty() ? std::uint8_t{0} : static_cast<std::uint8_t>(body[0]);
    for (const NetInterface& interface : interfaces) {
        if (request.nlmsg_type == RTM_GETLINK) {
            add_link(writer, interface, NLM_F_MULTI);
            continue;
        }
        if (request.nlmsg_type == RTM_GETROUTE) {
            add_routes(writer, interface, family);
            continue;
        }
        for (const NetAddress& address : interface.addresses) {
            if (family == 0 || family == address.family) {
                add_address(writer, interface, address);
            }
        }
    }
}

void answer(const nlmsghdr& request, std::span<const std::byte> body,
            std::span<const NetInterface> interfaces, std::uint32_t port,
            std::vector<Bytes>& answers) {
    const bool is_dump = (request.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
    Writer writer{request, port};
    if (is_dump && is_dumped(request.nlmsg_type)) {
        dump(writer, request, body, interfaces);
        if (!writer.empty()) {
            answers.push_back(writer.take());
        }
        Writer done{request, port};
        done.begin(NLMSG_DONE, NLM_F_MULTI, std::uint32_t{0});
        answers.push_back(done.take());
        return;
    }
    if (request.nlmsg_type != RTM_GETLINK) {
        add_error(writer, request, Errno::opnotsupp);
    } else if (const NetInterface* interface = find(body, interfaces)) {
        add_link(writer, *interface, 0);
    } else {
        add_error(writer, request, Errno::nodev);
    }
    answers.push_back(writer.take());
}

}  // namespace

std::uint32_t interface_flags(const NetInterface& interface) noexcept {
    return (interface.is_loopback ? iff_loopback : iff_broadcast | iff_multicast) |
           (interface.is_up ? iff_up | iff_running | iff_lower_up : 0);
}

std::uint16_t hardware_type(const NetInterface& interface) noexcept {
    return interface.is_loopback ? type_loopback : type_ethernet;
}

std::vector<Bytes> answer_netlink(std::span<const std::byte> requests,
                                  std::span<const NetInterface> interfaces, std::uint32_t port) {
    std::vector<Bytes> answers;
    while (requests.size() >= sizeof(nlmsghdr)) {
        nlmsghdr request;
        std::memcpy(&request, requests.data(), sizeof request);
        if (request.nlmsg_len < sizeof request || request.nlmsg_len > requests.size()) {
            break;
        }
        const auto body = requests.subspan(sizeof request, request.nlmsg_len - sizeof request);
        if ((request.nlmsg_flags & NLM_F_REQUEST) != 0 && request.nlmsg_type >= NLMSG_MIN_TYPE) {
            answer(request, body, interfaces, port, answers);
        }
        requests = requests.subspan(
            std::min<std::size_t>(NLMSG_ALIGN(request.nlmsg_len), requests.size()));
    }
    return answers;
}

}  // namespace shoal::guest
