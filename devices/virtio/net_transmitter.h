// NetTransmitter: packets from the driver's transmit buffers to the TAP (virtio 1.2, 5.1.6.2).
//
// A chain is one packet, written from where it lies, header and all: the kernel copies it once and
// checks the header itself, so that the driver cannot change it after the check. In order: a packet
// that must wait stays in the queue, and all others behind it.
// No locks: the device holds its mutex.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "devices/abi/virtio_net.h"
#include "devices/backend/rate_limiter.h"
#include "devices/backend/tap.h"
#include "devices/virtio/allowance.h"
#include "devices/virtio/net_metrics.h"
#include "devices/virtio/queue.h"

namespace shoal::virtio {

class NetTransmitter {
public:
    enum class Progress {
        idle,        // until the driver, the TAP or the rate limiter says something
        unfinished,  // enough for one call
    };

    // Borrows both.
    NetTransmitter(const backend::Tap& tap, NetMetrics& metrics) noexcept
        : tap_{tap}, metrics_{metrics} {}

    // Frames from another address are counted.
    void set_mac(const std::optional<abi::virtio::net::MacAddress>& mac) noexcept { mac_ = mac; }
    void reset() noexcept { waits_for_tap_ = false; }

    // Whether the TAP was full: to be called when it is writable again.
    [[nodiscard]] bool waits_for_tap() const noexcept { return waits_for_tap_; }
    void on_tap_writable() noexcept { waits_for_tap_ = false; }

    // What the TAP does not take (never, or because it is gone) is dropped.
    [[nodiscard]] std::expected<Progress, QueueError> transmit(Queue& queue) noexcept;

    [[nodiscard]] backend::RateLimiter& limiter() noexcept { return limiter_; }

private:
    static constexpr Allowance allowance_per_call{.chains = 64};

    enum class Fate { used, waits };

    [[nodiscard]] Fate send(const Chain& chain) noexcept;
    [[nodiscard]] Fate write(std::span<const iovec> packet, std::size_t frame_bytes) noexcept;
    void check_source(const Chain& chain) noexcept;

    const backend::Tap& tap_;
    NetMetrics& metrics_;
    backend::RateLimiter limiter_;
    std::optional<abi::virtio::net::MacAddress> mac_;
    bool waits_for_tap_ = false;
    Allowance allowance_ = allowance_per_call;  // of this call
    std::array<iovec, Queue::max_segments> pieces_{};
};

}  // namespace shoal::virtio
