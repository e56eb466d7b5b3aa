// The virtio network device (virtio 1.2, 5.1): features, configuration, packet header.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace shoal::abi::virtio::net {

// host_...: the device accepts it from the driver; guest_...: the driver accepts it (5.1.3).
namespace feature {
inline constexpr std::uint64_t csum = 1ULL << 0;        // checksums left to the device
inline constexpr std::uint64_t guest_csum = 1ULL << 1;  // and to the driver
inline constexpr std::uint64_t mtu = 1ULL << 3;
inline constexpr std::uint64_t mac = 1ULL << 5;
inline constexpr std::uint64_t guest_tso4 = 1ULL << 7;
inline constexpr std::uint64_t guest_tso6 = 1ULL << 8;
inline constexpr std::uint64_t guest_ecn = 1ULL << 9;
inline constexpr std::uint64_t guest_ufo = 1ULL << 10;
inline constexpr std::uint64_t host_tso4 = 1ULL << 11;
inline constexpr std::uint64_t host_tso6 = 1ULL << 12;
inline constexpr std::uint64_t host_ecn = 1ULL << 13;
inline constexpr std::uint64_t host_ufo = 1ULL << 14;
inline constexpr std::uint64_t mrg_rxbuf = 1ULL << 15;  // a packet may take several buffers
inline constexpr std::uint64_t status = 1ULL << 16;
inline constexpr std::uint64_t guest_uso4 = 1ULL << 54;
inline constexpr std::uint64_t guest_uso6 = 1ULL << 55;
inline constexpr std::uint64_t host_uso = 1ULL << 56;
}  // namespace feature

using MacAddress = std::array<std::uint8_t, 6>;

// As far as the features above reach (5.1.4).
struct Config {
    MacAddress mac;
    std::uint16_t status;
    std::uint16_t max_virtqueue_pairs;
    std::uint16_t mtu;
};
static_assert(sizeof(Config) == 12);
inline constexpr std::uint16_t status_link_up = 1;

inline constexpr std::uint32_t receive_queue = 0;
inline constexpr std::uint32_t transmit_queue = 1;

// Before every packet, in both directions (5.1.6).
struct Header {
    std::uint8_t flags;
    std::uint8_t gso_type;
    std::uint16_t hdr_len;
    std::uint16_t gso_size;
    std::uint16_t csum_start;
    std::uint16_t csum_offset;
    std::uint16_t num_buffers;
};
static_assert(sizeof(Header) == 12);
inline constexpr std::uint8_t header_needs_csum = 1;

inline constexpr std::size_t ethernet_header_bytes = 14;
// The largest GSO packet with its headers (5.1.6.3.1 says 65562), and a VLAN tag.
inline constexpr std::size_t packet_bytes_max = 65562 + 4;
inline constexpr std::size_t packet_bytes_min = sizeof(Header) + ethernet_header_bytes;

}  // namespace shoal::abi::virtio::net
