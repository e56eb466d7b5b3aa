// Sums of pseudo headers (RFC 9293, 3.1; RFC 8200, 8.1).
#include "guest/net/tcp_checksum.h"

#include "guest/net/header_bytes.h"

namespace shoal::guest::net {
namespace {

std::uint32_t sum_of(std::span<const std::byte> bytes) {
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at < bytes.size(); at += 2) {
        sum += word_at(bytes, at);
    }
    return sum;
}

// Where TCP starts and the sum of both addresses; 0 as start for what is something else.
struct Layer {
    std::size_t start = 0;
    std::uint32_t addresses = 0;
};

Layer look_at_ipv4(std::span<const std::byte> headers) {
    constexpr std::size_t bytes_min = 20;
    const auto ip = headers.subspan(ethernet_bytes);
    const std::size_t ip_bytes = ip.empty() ? 0 : std::size_t{byte_at(ip, 0)} % 16 * 4;
    if (ip_bytes < bytes_min || ip.size() < ip_bytes || byte_at(ip, 9) != protocol_tcp) {
        return {};
    }
    return {ethernet_bytes + ip_bytes, sum_of(ip.subspan(12, 8))};
}

Layer look_at_ipv6(std::span<const std::byte> headers) {
    constexpr std::size_t ip_bytes = 40;
    const auto ip = headers.subspan(ethernet_bytes);
    if (ip.size() < ip_bytes || byte_at(ip, 6) != protocol_tcp) {
        return {};
    }
    return {ethernet_bytes + ip_bytes, sum_of(ip.subspan(8, 32))};
}

}  // namespace

TcpChecksum start_tcp_checksum(std::span<std::byte> headers, std::size_t packet_bytes) noexcept {
    if (headers.size() < ethernet_bytes) {
        return {};
    }
    const std::uint16_t type = word_at(headers, ethernet_type_at);
    const Layer layer = type == ethernet_ipv4   ? look_at_ipv4(headers)
                        : type == ethernet_ipv6 ? look_at_ipv6(headers)
                                                : Layer{};
    if (layer.start == 0 || headers.size() < layer.start + tcp_bytes_min) {
        return {};
    }
    std::uint32_t sum =
        layer.addresses + protocol_tcp + static_cast<std::uint32_t>(packet_bytes - layer.start);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    put_word(headers, layer.start + tcp_checksum_at, sum);
    return {static_cast<std::uint16_t>(layer.start), tcp_checksum_at};
}

}  // namespace shoal::guest::net
