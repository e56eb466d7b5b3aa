// VsockCredit: who may still send how much on a connection (virtio 1.2, 5.10.6.3).
//
// All counters are free-running and wrap, as those in the packets do.
#pragma once

#include <cstdint>

#include "devices/abi/virtio_vsock.h"

namespace shoal::virtio {

class VsockCredit {
public:
    // `buf_alloc` is our buffer for what the guest sends.
    explicit constexpr VsockCredit(std::uint32_t buf_alloc) noexcept : buf_alloc_{buf_alloc} {}

    // Every packet of the guest says what it has room for.
    constexpr void hear(const abi::virtio::vsock::Header& header) noexcept {
        peer_buf_alloc_ = header.buf_alloc;
        peer_fwd_cnt_ = header.fwd_cnt;
    }
    // What the guest has room for. A guest that counts wrongly has none.
    [[nodiscard]] constexpr std::uint32_t available() const noexcept {
        const std::uint32_t in_flight = sent_ - peer_fwd_cnt_;
        return in_flight > peer_buf_alloc_ ? 0 : peer_buf_alloc_ - in_flight;
    }
    constexpr void sent(std::uint32_t size_bytes) noexcept { sent_ += size_bytes; }

    // Bytes of the guest that left our buffer.
    constexpr void forwarded(std::uint32_t size_bytes) noexcept { fwd_cnt_ += size_bytes; }
    // Whether the guest may think that half of our buffer is full or more, and is wrong.
    [[nodiscard]] constexpr bool is_announcement_due() const noexcept {
        return fwd_cnt_ - announced_ >= buf_alloc_ / 2;
    }
    // Every packet to the guest says it.
    constexpr void announce(abi::virtio::vsock::Header& header) noexcept {
        header.buf_alloc = buf_alloc_;
        header.fwd_cnt = fwd_cnt_;
        announced_ = fwd_cnt_;
    }

private:
    std::uint32_t buf_alloc_;
    std::uint32_t fwd_cnt_ = 0;
    std::uint32_t announced_ = 0;  // fwd_cnt_ as the guest last heard it
    std::uint32_t sent_ = 0;
    std::uint32_t peer_buf_alloc_ = 0;
    std::uint32_t peer_fwd_cnt_ = 0;
};

}  // namespace shoal::virtio
