// ICMP and ICMPv6: the message's header, then the datagram's own headers.
#include "guest/net/refused_datagram.h"

#include "guest/net/header_bytes.h"

namespace shoal::guest::net {
namespace {

constexpr std::size_t icmp_header_bytes = 8;
constexpr std::size_t ports_bytes = 4;
constexpr std::uint8_t protocol_udp = 17;

struct QuotedHeader {
    std::size_t size_bytes;
    std::size_t source_at;
    std::size_t address_bytes;
};

// Of IPv4: only a datagram's first fragment has its ports.
std::optional<QuotedHeader> ipv4_header(std::span<const std::byte> quoted) {
    constexpr std::size_t bytes_min = 20;
    constexpr std::uint16_t fragment_offset = 0x1FFF;
    if (quoted.size() < bytes_min || byte_at(quoted, 0) >> 4 != 4 ||
        byte_at(quoted, 9) != protocol_udp || (word_at(quoted, 6) & fragment_offset) != 0) {
        return {};
    }
    const std::size_t size_bytes = std::size_t{4} * (byte_at(quoted, 0) & 0xF);
    if (size_bytes < bytes_min) {
        return {};
    }
    return QuotedHeader{size_bytes, 12, 4};
}

// Ours have no extension headers.
std::optional<QuotedHeader> ipv6_header(std::span<const std::byte> quoted) {
    constexpr std::size_t bytes = 40;
    if (quoted.size() < bytes || byte_at(quoted, 0) >> 4 != 6 ||
        byte_at(quoted, 6) != protocol_udp) {
        return {};
    }
    return QuotedHeader{bytes, 8, 16};
}

}  // namespace

std::optional<RefusedDatagram> refused_datagram(std::span<const std::byte> message,
                                                IcmpVersion version) noexcept {
    const bool is_v4 = version == IcmpVersion::v4;
    // Destination unreachable, port unreachable.
    const std::uint16_t type_and_code = is_v4 ? 0x0303 : 0x0104;
    if (message.size() < icmp_header_bytes || word_at(message, 0) != type_and_code) {
        return {};
    }
    const auto quoted = message.subspan(icmp_header_bytes);
    const auto header = is_v4 ? ipv4_header(quoted) : ipv6_header(quoted);
    if (!header || quoted.size() < header->size_bytes + ports_bytes) {
        return {};
    }
    return RefusedDatagram{.source = quoted.subspan(header->source_at, header->address_bytes),
                           .destination = quoted.subspan(header->source_at + header->address_bytes,
                                                         header->address_bytes),
                           .source_port = word_at(quoted, header->size_bytes),
                           .destination_port = word_at(quoted, header->size_bytes + 2)};
}

}  // namespace shoal::guest::net
