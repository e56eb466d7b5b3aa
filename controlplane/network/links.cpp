// netdevice(7), rtnetlink(7), and the bridge's and TUN's own.
#include "controlplane/network/links.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::network {
namespace {

ifreq request_for(const std::string& name) {
    ifreq request{};
    if (name.size() >= sizeof request.ifr_name) {
        host::throw_os_error("the interface's name " + name + " is too long", ENAMETOOLONG);
    }
    name.copy(request.ifr_name, name.size());
    return request;
}

class Control {
public:
    Control() : socket_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)} {
        host::check_os(socket_.get(), "socket");
    }
    template <typename Argument>
    bool try_call(unsigned long request, Argument argument) const noexcept {
        return ::ioctl(socket_.get(), request, argument) == 0;
    }
    template <typename Argument>
    void call(unsigned long request, Argument argument, const std::string& what) const {
        if (!try_call(request, argument)) {
            host::throw_os_error(what);
        }
    }
    void set_flags(const std::string& name, short on, short off) const {
        ifreq request = request_for(name);
        call(SIOCGIFFLAGS, &request, "reading the flags of " + name);
        request.ifr_flags = static_cast<short>((request.ifr_flags | on) & ~off);
        call(SIOCSIFFLAGS, &request, "setting the flags of " + name);
    }

private:
    host::UniqueFd socket_;
};

ifreq with_address(const std::string& name, Ipv4 address) {
    ifreq request = request_for(name);
    sockaddr_in socket_address{};
    socket_address.sin_family = AF_INET;
    socket_address.sin_addr.s_addr = htonl(address);
    std::memcpy(&request.ifr_addr, &socket_address, sizeof socket_address);
    return request;
}

// Attached to the TAP, which is made if it is not there.
host::UniqueFd open_tap(const std::string& name) {
    host::UniqueFd tap{::open("/dev/net/tun", O_RDWR | O_CLOEXEC)};
    if (!tap) {
        host::throw_os_error("cannot open /dev/net/tun");
    }
    ifreq request = request_for(name);
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    if (::ioctl(tap.get(), TUNSETIFF, &request) < 0) {
        host::throw_os_error("cannot make the TAP " + name);
    }
    return tap;
}

// RTM_SETLINK's IFLA_MASTER: a TAP that is in another bridge leaves it, one that is in this one
// stays. The ioctl refuses both alike.
struct Enslaving {
    nlmsghdr header;
    ifinfomsg link;
    rtattr attribute;
    std::uint32_t master;
};

struct Answer {
    nlmsghdr header;
    nlmsgerr error;
};

void set_master(const std::string& name, const std::string& bridge) {
    const host::UniqueFd socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
    host::check_os(socket.get(), "socket");
    Enslaving request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = RTM_SETLINK;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    request.link.ifi_index = static_cast<int>(::if_nametoindex(name.c_str()));
    request.attribute = {RTA_LENGTH(sizeof request.master), IFLA_MASTER};
    request.master = ::if_nametoindex(bridge.c_str());
    const std::string what = "adding " + name + " to " + bridge;
    if (request.link.ifi_index == 0 || request.master == 0) {
        host::throw_os_error(what, ENODEV);
    }
    Answer answer{};
    ssize_t count = ::send(socket.get(), &request, sizeof request, 0);
    if (count >= 0) {
        count = ::recv(socket.get(), &answer, sizeof answer, 0);
    }
    if (count < 0) {
        host::throw_os_error(what);
    }
    if (static_cast<std::size_t>(count) < sizeof answer ||
        answer.header.nlmsg_type != NLMSG_ERROR) {
        host::throw_os_error(what, EPROTO);
    }
    if (answer.error.error != 0) {
        host::throw_os_error(what, -answer.error.error);
    }
}

bool is_there(const std::string& name) {
    return ::if_nametoindex(name.c_str()) != 0;
}

}  // namespace

void add_bridge(const std::string& name) {
    const Control control;
    if (!control.try_call(SIOCBRADDBR, name.c_str()) && errno != EEXIST) {
        host::throw_os_error("cannot make the bridge " + name);
    }
}

void ensure_bridge(const std::string& name, const Subnet& subnet) {
    add_bridge(name);
    const Control control;
    ifreq request = with_address(name, subnet.gateway());
    control.call(SIOCSIFADDR, &request, "setting the address of " + name);
    const Ipv4 mask = ~(subnet.last() - subnet.first);
    request = with_address(name, mask);
    control.call(SIOCSIFNETMASK, &request, "setting the network of " + name);
    control.set_flags(name, IFF_UP, 0);
}

void ensure_tap(const std::string& name, const std::string& bridge) {
    {
        const host::UniqueFd tap = open_tap(name);
        host::check_os(::ioctl(tap.get(), TUNSETPERSIST, 1), "TUNSETPERSIST");
    }
    set_master(name, bridge);
    const Control control;
    control.set_flags(name, IFF_UP, 0);
}

void remove_bridge(const std::string& name) {
    if (!is_there(name)) {
        return;
    }
    const Control control;
    control.set_flags(name, 0, IFF_UP);
    control.call(SIOCBRDELBR, name.c_str(), "deleting the bridge " + name);
}

void remove_tap(const std::string& name) {
    if (!is_there(name)) {
        return;
    }
    const host::UniqueFd tap = open_tap(name);
    host::check_os(::ioctl(tap.get(), TUNSETPERSIST, 0), "TUNSETPERSIST");
}

std::vector<std::string> interfaces() {
    std::vector<std::string> names;
    struct if_nameindex* all = ::if_nameindex();
    if (all == nullptr) {
        host::throw_os_error("if_nameindex");
    }
    for (const struct if_nameindex* at = all; at->if_index != 0; ++at) {
        names.emplace_back(at->if_name);
    }
    ::if_freenameindex(all);
    return names;
}

}  // namespace shoal::network
