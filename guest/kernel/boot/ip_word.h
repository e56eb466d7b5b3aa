// ip= of the kernel's command line, as Linux spells it (admin-guide/nfs/nfsroot):
//
//   ip=off | none | on | any | dhcp
//   ip=<client>:<server>:<gateway>:<netmask>:<hostname>:<device>:<autoconf>[:<dns0>[:<dns1>]]
//
// and ours for IPv6, besides what routers announce: shoal.ip6=<address>/<prefix>[,<gateway>]
// The server and the device mean nothing here. DNS servers are for /etc/resolv.conf; they come
// before those that DHCP offers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace shoal::guest {

// In network byte order, as it goes over the wire.
using Ipv4Bytes = std::array<std::uint8_t, 4>;

// Zeros: none.
using NameServers = std::array<Ipv4Bytes, 2>;

enum class Ipv4Source { none, fixed, dhcp };

struct IpWord {
    Ipv4Source source = Ipv4Source::none;
    Ipv4Bytes address{};
    Ipv4Bytes netmask{};  // if it is not given, that of the address's class
    Ipv4Bytes gateway{};  // zeros: none
    std::string_view hostname{};
    NameServers dns{};
};

// Nothing if the word cannot be understood. The result points into `text`.
[[nodiscard]] std::optional<IpWord> parse_ip_word(std::string_view text);

// Dotted decimal, four numbers.
[[nodiscard]] std::optional<Ipv4Bytes> parse_ipv4(std::string_view text);

// shoal.ip6=, split; the addresses are checked by who uses them.
struct Ip6Word {
    std::string_view address{};
    std::uint8_t prefix_bits = 64;
    std::string_view gateway{};
};
[[nodiscard]] std::optional<Ip6Word> parse_ip6_word(std::string_view text);

}  // namespace shoal::guest
