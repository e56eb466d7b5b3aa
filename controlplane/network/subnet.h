// Subnet: IPv4 addresses that are given out.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace shoal::network {

using Ipv4 = std::uint32_t;  // in the host's byte order

// Dotted decimal, four numbers without leading zeros.
[[nodiscard]] std::optional<Ipv4> parse_address(std::string_view text);
[[nodiscard]] std::string to_text(Ipv4 address);

struct Subnet {
    Ipv4 first = 0;  // the network's own address: nobody has it
    unsigned bits = 0;

    [[nodiscard]] Ipv4 last() const noexcept {  // the broadcast address: nobody has it either
        return first | static_cast<Ipv4>((std::uint64_t{1} << (32 - bits)) - 1);
    }
    [[nodiscard]] Ipv4 mask() const noexcept {
        return static_cast<Ipv4>(~std::uint64_t{0} << (32 - bits));
    }
    [[nodiscard]] Ipv4 gateway() const noexcept { return first + 1; }
    [[nodiscard]] bool overlaps(const Subnet& other) const noexcept {
        return first <= other.last() && other.first <= last();
    }
};

// 8 to 30 bits; the address must be the network's own. Nothing: it is none.
[[nodiscard]] std::optional<Subnet> parse_subnet(std::string_view text);

// The lowest address that nobody has; nothing when all are given out.
[[nodiscard]] std::optional<Ipv4> find_free(const Subnet& subnet,
                                            const std::map<Ipv4, std::string>& taken);

}  // namespace shoal::network
