// Options and addresses that TCP and UDP share.
#include "guest/net/inet_socket.h"

#include "guest/net/socket_options.h"
#include "guest/net/tcp_socket.h"
#include "guest/net/udp_socket.h"

namespace shoal::guest::net {
namespace {

constexpr std::uint32_t protocol_any = 0;
constexpr std::uint32_t protocol_tcp = 6;
constexpr std::uint32_t protocol_udp = 17;
constexpr std::int32_t path_mtu_bytes = 1500;

// Asked for by programs, and of no consequence here.
bool is_accepted(SocketOption option) {
    if (option.level == level::socket) {
        return option.name == socket_option::send_buffer ||
               option.name == socket_option::receive_buffer ||
               option.name == socket_option::send_buffer_force ||
               option.name == socket_option::receive_buffer_force ||
               option.name == socket_option::dont_route ||
               option.name == socket_option::out_of_band_inline ||
               option.name == socket_option::priority ||
               option.name == socket_option::receive_low_water;
    }
    if (option.level == level::ip) {
        return option.name == ip_option::mtu_discover || option.name == ip_option::receive_errors ||
               option.name == ip_option::bind_address_no_port;
    }
    return option.level == level::ipv6 && (option.name == ipv6_option::mtu_discover ||
                                           option.name == ipv6_option::receive_errors ||
                                           option.name == ipv6_option::traffic_class);
}

std::uint8_t flag_of(SocketOption option) {
    if (option.level != level::socket) {
        return 0;
    }
    switch (option.name) {
        case socket_option::reuse_address:
            return SOF_REUSEADDR;
        case socket_option::keep_alive:
            return SOF_KEEPALIVE;
        case socket_option::broadcast:
            return SOF_BROADCAST;
        default:
            return 0;
    }
}

template <class T>
Result<SocketRef> make(FileSystem& file_system, const SocketKind& kind, std::uint32_t protocol) {
    if (kind.protocol != protocol_any && kind.protocol != protocol) {
        return fail(Errno::protonosupport);
    }
    static_cast<void>(Network::instance());
    const Ref<T> socket =
        file_system.make_inode<T>(file_system, SocketKind{kind.family, kind.type, protocol});
    return socket ? Result<SocketRef>{socket} : fail(Errno::nomem);
}

}  // namespace

Result<SocketRef> make_inet_socket(FileSystem& file_system, const SocketKind& kind) {
    switch (kind.type) {
        case SocketType::stream:
            return make<TcpSocket>(file_system, kind, protocol_tcp);
        case SocketType::datagram:
            return make<UdpSocket>(file_system, kind, protocol_udp);
        case SocketType::raw:
        case SocketType::sequenced:
            break;
    }
    return fail(Errno::socktnosupport);
}

std::uint8_t InetSocket::address_type() const noexcept {
    if (family() == address_family::inet) {
        return IPADDR_TYPE_V4;
    }
    return v6_only_ == V6Only::yes ? IPADDR_TYPE_V6 : IPADDR_TYPE_ANY;
}

Result<Endpoint> InetSocket::endpoint_to_bind(const SocketAddress& address) const {
    auto endpoint = endpoint_of(address, family());
    if (!endpoint) {
        return endpoint;
    }
    if (IP_IS_V6_VAL(endpoint->address) && ip6_addr_isany(ip_2_ip6(&endpoint->address)) &&
        v6_only_ == V6Only::no) {
        endpoint->address = *IP_ANY_TYPE;
    }
    return is_ours(endpoint->address) ? endpoint : fail(Errno::addrnotavail);
}

Result<Endpoint> InetSocket::endpoint_to_reach(const SocketAddress& address) const {
    auto endpoint = endpoint_of(address, family());
    if (endpoint && ip_addr_isany(&endpoint->address)) {
        if (IP_IS_V6_VAL(endpoint->address)) {
            ip_addr_set_loopback_val(true, endpoint->address);
        } else {
            ip_addr_set_loopback_val(false, endpoint->address);
        }
    }
    if (endpoint && IP_IS_V4_VAL(endpoint->address) && v6_only_ == V6Only::yes) {
        return fail(Errno::netunreach);
    }
    return endpoint;
}

void InetSocket::apply_options() noexcept {
    if (ip_pcb* pcb = common()) {
        pcb->so_options = static_cast<std::uint8_t>(
            (pcb->so_options & SOF_INHERITED & ~(SOF_REUSEADDR | SOF_KEEPALIVE)) | options_ |
            (reuses_port_ ? SOF_REUSEADDR : 0));
        pcb->tos = type_of_service_;
        if (time_to_live_ != 0) {
            pcb->ttl = time_to_live_;
        }
    }
}

void InetSocket::inherit_options(const InetSocket& parent) noexcept {
    options_ = parent.options_;
    time_to_live_ = parent.time_to_live_;
    type_of_service_ = parent.type_of_service_;
    v6_only_ = parent.v6_only_;
    reuses_port_ = parent.reuses_port_;
}

Result<void> InetSocket::set_flag(std::uint8_t flag, std::span<const std::byte> value) {
    const auto number = number_in(value);
    if (!number || value.size() < sizeof *number) {
        return fail(Errno::inval);
    }
    options_ = static_cast<std::uint8_t>(*number != 0 ? options_ | flag : options_ & ~flag);
    apply_options();
    return {};
}

Result<void> InetSocket::set_option(SocketOption option, std::span<const std::byte> value) {
    if (const std::uint8_t flag = flag_of(option)) {
        return set_flag(flag, value);
    }
    if (is_accepted(option)) {
        return {};
    }
    const auto number = number_in(value);
    if (!number) {
        return fail(number.error());
    }
    if (option.level == level::socket && option.name == socket_option::reuse_port) {
        reuses_port_ = *number != 0;
        apply_options();
        return {};
    }
    if (option.level == level::ipv6 && option.name == ipv6_option::v6_only &&
        family() == address_family::inet6) {
        v6_only_ = *number != 0 ? V6Only::yes : V6Only::no;
        return {};
    }
    const bool is_ip = option.level == level::ip;
    const bool is_ipv6 = option.level == level::ipv6 && family() == address_family::inet6;
    if (is_ip && option.name == ip_option::type_of_service) {
        type_of_service_ = static_cast<std::uint8_t>(*number);
    } else if ((is_ip && option.name == ip_option::time_to_live) ||
               (is_ipv6 && option.name == ipv6_option::unicast_hops)) {
        if (*number < -1 || *number == 0 || *number > 0xFF) {
            return fail(Errno::inval);
        }
        time_to_live_ = *number < 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(*number);
    } else {
        return fail(Errno::noprotoopt);
    }
    apply_options();
    return {};
}

Result<std::size_t> InetSocket::get_option(SocketOption option, std::span<std::byte> value) const {
    if (const std::uint8_t flag = flag_of(option)) {
        return put_number(value, (options_ & flag) != 0 ? 1 : 0);
    }
    if (option.level == level::socket) {
        switch (option.name) {
            case socket_option::reuse_port:
                return put_number(value, reuses_port_ ? 1 : 0);
            case socket_option::send_buffer:
                return put_number(value, send_buffer_bytes());
            case socket_option::receive_buffer:
                return put_number(value, receive_buffer_bytes());
            default:
                break;
        }
    }
    if (option.level == level::ipv6 && option.name == ipv6_option::v6_only) {
        return put_number(value, v6_only_ == V6Only::yes ? 1 : 0);
    }
    if (option.level == level::ip && option.name == ip_option::type_of_service) {
        return put_number(value, type_of_service_);
    }
    if (option.level == level::ip && option.name == ip_option::time_to_live) {
        return put_number(value, time_to_live_ == 0 ? TCP_TTL : time_to_live_);
    }
    if (option.level == level::ip && option.name == ip_option::mtu) {
        return put_number(value, path_mtu_bytes);
    }
    return is_accepted(option) ? Result<std::size_t>{put_number(value, 0)}
                               : fail(Errno::noprotoopt);
}

}  // namespace shoal::guest::net
