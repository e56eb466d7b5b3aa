// TcpBatch: TCP packets of a connection, one behind the other, that leave as one packet which the
// device's side splits again (TSO; virtio 1.2, 5.1.6.2). Headers only: who sends the batch puts the
// packets' data behind them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/net/tcp_checksum.h"

namespace shoal::guest::net {

class TcpBatch {
public:
    // Ethernet, IPv6 and TCP with all its options.
    static constexpr std::size_t headers_max = 14 + 40 + 60;
    static constexpr std::size_t packet_bytes_max = 14 + 0xFFFF;  // as IPv4 counts

    enum class Family { ipv4, ipv6 };

    // Begins with a packet: `first_bytes` starts it and holds all its headers, `packet_bytes` is
    // its size. False for what cannot be split: no TCP, no data, anything but ACK and PSH, IP
    // options.
    [[nodiscard]] bool start(std::span<const std::byte> first_bytes, std::size_t packet_bytes);
    // Adds a packet; false when it does not continue those that are there.
    [[nodiscard]] bool add(std::span<const std::byte> first_bytes, std::size_t packet_bytes);

    // Of each packet: where its data begins.
    [[nodiscard]] std::size_t header_bytes() const noexcept { return header_bytes_; }
    [[nodiscard]] Family family() const noexcept { return family_; }
    // Data of each packet but the last, which may have less.
    [[nodiscard]] std::uint16_t segment_bytes() const noexcept {
        return static_cast<std::uint16_t>(segment_bytes_);
    }

    struct Whole {
        std::span<const std::byte> headers;  // valid until the next start()
        TcpChecksum checksum;
    };
    // The headers of all of it, with lengths and sums as the device wants them.
    [[nodiscard]] Whole finish();

private:
    [[nodiscard]] bool is_alike(std::span<const std::byte> headers) const;
    [[nodiscard]] bool same(std::span<const std::byte> headers, std::size_t from,
                            std::size_t to) const;

    std::array<std::byte, headers_max> headers_{};
    std::size_t header_bytes_ = 0;
    std::size_t tcp_at_ = 0;
    std::size_t segment_bytes_ = 0;
    std::size_t data_bytes_ = 0;
    Family family_ = Family::ipv4;
};

}  // namespace shoal::guest::net
