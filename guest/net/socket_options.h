// Options of TCP and UDP sockets, by level and number as setsockopt(2) has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "guest/kernel/net/socket.h"

namespace shoal::guest::net {

namespace level {
inline constexpr std::uint32_t ip = 0;
inline constexpr std::uint32_t socket = 1;
inline constexpr std::uint32_t tcp = 6;
inline constexpr std::uint32_t udp = 17;
inline constexpr std::uint32_t ipv6 = 41;
}  // namespace level

// <asm-generic/socket.h>
namespace socket_option {
inline constexpr std::uint32_t reuse_address = 2;
inline constexpr std::uint32_t dont_route = 5;
inline constexpr std::uint32_t broadcast = 6;
inline constexpr std::uint32_t send_buffer = 7;
inline constexpr std::uint32_t receive_buffer = 8;
inline constexpr std::uint32_t keep_alive = 9;
inline constexpr std::uint32_t out_of_band_inline = 10;
inline constexpr std::uint32_t priority = 12;
inline constexpr std::uint32_t linger = 13;
inline constexpr std::uint32_t reuse_port = 15;
inline constexpr std::uint32_t receive_low_water = 18;
inline constexpr std::uint32_t timestamp = 29;
inline constexpr std::uint32_t receive_buffer_force = 33;
inline constexpr std::uint32_t send_buffer_force = 32;
inline constexpr std::uint32_t mark = 36;
inline constexpr std::uint32_t busy_poll = 46;
inline constexpr std::uint32_t incoming_cpu = 49;
}  // namespace socket_option

// <netinet/tcp.h>
namespace tcp_option {
inline constexpr std::uint32_t no_delay = 1;
inline constexpr std::uint32_t max_segment = 2;
inline constexpr std::uint32_t cork = 3;
inline constexpr std::uint32_t keep_idle = 4;
inline constexpr std::uint32_t keep_interval = 5;
inline constexpr std::uint32_t keep_count = 6;
inline constexpr std::uint32_t syn_count = 7;
inline constexpr std::uint32_t linger2 = 8;
inline constexpr std::uint32_t defer_accept = 9;
inline constexpr std::uint32_t info = 11;
inline constexpr std::uint32_t quick_ack = 12;
inline constexpr std::uint32_t congestion = 13;
inline constexpr std::uint32_t user_timeout = 18;
}  // namespace tcp_option

// <netinet/in.h>
namespace ip_option {
inline constexpr std::uint32_t type_of_service = 1;
inline constexpr std::uint32_t time_to_live = 2;
inline constexpr std::uint32_t packet_info = 8;
inline constexpr std::uint32_t mtu_discover = 10;
inline constexpr std::uint32_t receive_errors = 11;
inline constexpr std::uint32_t mtu = 14;
inline constexpr std::uint32_t bind_address_no_port = 24;
}  // namespace ip_option
namespace ipv6_option {
inline constexpr std::uint32_t unicast_hops = 16;
inline constexpr std::uint32_t mtu_discover = 23;
inline constexpr std::uint32_t receive_errors = 25;
inline constexpr std::uint32_t v6_only = 26;
inline constexpr std::uint32_t receive_packet_info = 49;
inline constexpr std::uint32_t traffic_class = 67;
}  // namespace ipv6_option

// An int, or a byte where the program gave one, as Linux takes both. Errno::inval for less.
[[nodiscard]] inline Result<std::int32_t> number_in(std::span<const std::byte> value) {
    if (value.empty()) {
        return fail(Errno::inval);
    }
    std::int32_t number = 0;
    if (value.size() < sizeof number) {
        return std::to_integer<std::int32_t>(value.front());
    }
    std::memcpy(&number, value.data(), sizeof number);
    return number;
}

[[nodiscard]] inline std::size_t put_number(std::span<std::byte> value, std::int32_t number) {
    std::memcpy(value.data(), &number, sizeof number);
    return sizeof number;
}

}  // namespace shoal::guest::net
