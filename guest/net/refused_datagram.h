// What ICMP's "port unreachable" says of a datagram of ours: nobody listens where it went (RFC 792,
// RFC 4443 3.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace shoal::guest::net {

// All that refused_datagram() looks at: ICMP's header, the largest IPv4 header, two ports.
inline constexpr std::size_t refusal_bytes_max = 8 + 60 + 4;

// Where the datagram went, and where it came from. The addresses have 4 bytes or 16, and lie in the
// message.
struct RefusedDatagram {
    std::span<const std::byte> source;
    std::span<const std::byte> destination;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
};

enum class IcmpVersion { v4, v6 };

// `message` begins with ICMP's header and may be cut after refusal_bytes_max bytes. Empty for other
// messages and for those that quote no UDP.
[[nodiscard]] std::optional<RefusedDatagram> refused_datagram(std::span<const std::byte> message,
                                                              IcmpVersion version) noexcept;

}  // namespace shoal::guest::net
