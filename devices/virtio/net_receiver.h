// NetReceiver: packets from the TAP into the driver's receive buffers (virtio 1.2, 5.1.6.3 and
// 5.1.6.4).
//
// A packet is read straight into the chains at hand. Their number must be known before, the
// packet's size is known afterwards: what did not fit lies in the spill, and is copied once the
// driver has given more chains. That is the only copy, and rare: chains for the largest packet are
// at hand as long as the driver has given them. Without mergeable buffers a packet that is larger
// than its one chain is dropped.
// No locks: the device holds its mutex.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>

#include "devices/backend/rate_limiter.h"
#include "devices/backend/tap.h"
#include "devices/virtio/allowance.h"
#include "devices/virtio/net_buffers.h"
#include "devices/virtio/net_metrics.h"
#include "devices/virtio/queue.h"

namespace shoal::virtio {

class NetReceiver {
public:
    enum class Mergeable { no, yes };
    enum class Progress {
        idle,        // until the TAP, the driver or the rate limiter says something
        unfinished,  // enough for one call
    };

    // Borrows both.
    NetReceiver(const backend::Tap& tap, NetMetrics& metrics);

    void start(Mergeable mergeable) noexcept;
    // Forgets the driver, and the packet that is under way.
    void reset() noexcept;

    // There may be packets in the TAP: it is empty when it said so, until this.
    void on_tap_readable() noexcept { tap_readable_ = true; }

    [[nodiscard]] std::expected<Progress, QueueError> receive(Queue& queue) noexcept;

    // Gives what is at hand back to the queue, after the packet that is under way; if the driver
    // has not given enough for it yet, it is lost.
    void give_back(Queue& queue) noexcept;

    [[nodiscard]] backend::RateLimiter& limiter() noexcept { return limiter_; }

private:
    // So that one direction does not starve the other, and the driver hears of them early enough.
    static constexpr Allowance allowance_per_call{.chains = 64};

    // What is to be done next with the packet.
    enum class Step { deliver, none_now, next };

    [[nodiscard]] std::expected<Step, QueueError> next_packet(Queue& queue) noexcept;
    [[nodiscard]] std::expected<bool, QueueError> gather(Queue& queue, std::size_t wanted_bytes,
                                                         std::size_t needed_bytes) noexcept;
    [[nodiscard]] Step read_packet() noexcept;
    [[nodiscard]] std::expected<Step, QueueError> fit_packet(Queue& queue) noexcept;
    [[nodiscard]] bool may_pass() noexcept;
    void deliver(Queue& queue) noexcept;
    [[nodiscard]] Step drop_packet() noexcept;
    [[nodiscard]] std::size_t frame_bytes() const noexcept;

    const backend::Tap& tap_;
    NetMetrics& metrics_;
    backend::RateLimiter limiter_;
    std::unique_ptr<std::byte[]> spill_;  // its pages cost nothing before they are used
    Mergeable mergeable_ = Mergeable::no;
    bool tap_readable_ = false;
    NetBuffers buffers_;
    // The packet that is under way, header included; 0: none. It lies in the buffers from their
    // start, from placed_bytes_ on in the spill.
    std::size_t packet_bytes_ = 0;
    std::size_t placed_bytes_ = 0;
};

}  // namespace shoal::virtio
