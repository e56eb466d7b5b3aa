// Leaves TCP's checksum to the device: it wants the sum of the pseudo header in its place (virtio
// 1.2, 5.1.6.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace shoal::guest::net {

struct TcpChecksum {
    std::uint16_t start = 0;   // of the TCP header; 0: this is no whole TCP packet
    std::uint16_t offset = 0;  // of the checksum from there
};

// Rewrites the checksum of an Ethernet packet's TCP header. `headers` is the packet's first piece,
// which holds all headers; `packet_bytes` is the packet's size.
[[nodiscard]] TcpChecksum start_tcp_checksum(std::span<std::byte> headers,
                                             std::size_t packet_bytes) noexcept;

}  // namespace shoal::guest::net
