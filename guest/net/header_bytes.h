// Numbers in headers of the network, which are big-endian: `at` is a place that the caller knows to
// lie within `bytes`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace shoal::guest::net {

inline constexpr std::size_t ethernet_bytes = 14;
inline constexpr std::size_t ethernet_type_at = 12;
inline constexpr std::uint16_t ethernet_ipv4 = 0x0800;
inline constexpr std::uint16_t ethernet_ipv6 = 0x86DD;
inline constexpr std::uint8_t protocol_tcp = 6;
// From the TCP header's start.
inline constexpr std::size_t tcp_bytes_min = 20;
inline constexpr std::size_t tcp_checksum_at = 16;

inline std::uint8_t byte_at(std::span<const std::byte> bytes, std::size_t at) {
    return std::to_integer<std::uint8_t>(bytes[at]);
}

inline std::uint16_t word_at(std::span<const std::byte> bytes, std::size_t at) {
    return static_cast<std::uint16_t>(byte_at(bytes, at) << 8 | byte_at(bytes, at + 1));
}

inline void put_word(std::span<std::byte> bytes, std::size_t at, std::size_t value) {
    bytes[at] = static_cast<std::byte>(value >> 8);
    bytes[at + 1] = static_cast<std::byte>(value);
}

}  // namespace shoal::guest::net
