// A packet of the socket device (virtio 1.2, 5.10.6) as it came: checked, and where its parts are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "devices/abi/virtio_vsock.h"

namespace shoal::guest {

struct VsockPacket {
    abi::virtio::vsock::Header header;   // a copy
    std::span<const std::byte> payload;  // header.len bytes; only an Operation::rw has any
};

// `bytes` is what the device has written. None for what cannot be answered: a packet that is cut
// short, does not come from the host, or is not for `guest_cid`.
[[nodiscard]] std::optional<VsockPacket> parse_vsock_packet(std::span<const std::byte> bytes,
                                                            std::uint64_t guest_cid);

// How much may be sent to a peer, and what it was told that we have taken (5.10.6.3).
class VsockCredit {
public:
    explicit VsockCredit(std::uint32_t buffer_bytes) : buffer_bytes_{buffer_bytes} {}

    // Every packet of the peer tells its credit.
    void hear(const abi::virtio::vsock::Header& header);
    // 0 also for a peer whose numbers cannot be.
    [[nodiscard]] std::uint32_t room() const;
    void count_sent(std::uint32_t size_bytes) { sent_ += size_bytes; }

    void count_taken(std::uint32_t size_bytes) { taken_ += size_bytes; }
    // Whether a quarter of the buffer has become free since the peer heard of it.
    [[nodiscard]] bool is_update_due() const { return taken_ - told_ >= buffer_bytes_ / 4; }
    // Writes our side into a header that is sent now.
    void tell(abi::virtio::vsock::Header& header);

private:
    std::uint32_t buffer_bytes_;
    std::uint32_t peer_buffer_bytes_ = 0;
    std::uint32_t peer_taken_ = 0;  // these are free-running
    std::uint32_t sent_ = 0;
    std::uint32_t taken_ = 0;
    std::uint32_t told_ = 0;
};

}  // namespace shoal::guest
