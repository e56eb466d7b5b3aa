// Net: a virtio network device (virtio 1.2, 5.1) on a TAP: one receive and one transmit queue.
//
// Watches the TAP and the rate limiters' timers by itself, edge-triggered: it never asks again
// before there is something new. When the TAP is deleted the link goes down.
// The device's mutex guards everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>

#include "devices/abi/virtio_net.h"
#include "devices/backend/rate_limiter.h"
#include "devices/backend/tap.h"
#include "devices/host/reactor.h"
#include "devices/virtio/device.h"
#include "devices/virtio/end_turn.h"
#include "devices/virtio/net_metrics.h"
#include "devices/virtio/net_receiver.h"
#include "devices/virtio/net_transmitter.h"

namespace shoal::virtio {

struct NetConfig {
    std::optional<abi::virtio::net::MacAddress> guest_mac;  // none: the driver makes one up
    std::optional<std::uint16_t> mtu;                       // none: the driver assumes 1500
    backend::RateLimiterConfig rx_rate_limiter;
    backend::RateLimiterConfig tx_rate_limiter;

    friend bool operator==(const NetConfig&, const NetConfig&) = default;
};

// Beside what the transport saves.
struct NetState {
    NetConfig config;

    friend bool operator==(const NetState&, const NetState&) = default;
};

// What the rate limiters have left.
struct NetBudgets {
    backend::RateLimiterState rx;
    backend::RateLimiterState tx;

    friend bool operator==(const NetBudgets&, const NetBudgets&) = default;
};

class Net final : public Device {
public:
    // Borrows the reactor. On the event-loop thread, as is the destructor. Throws
    // std::system_error when the host has no descriptors left.
    Net(const NetConfig& config, backend::Tap&& tap, host::Reactor& reactor);
    ~Net() override;

    // A bucket that is left out stays as it is. Throws as the constructor does.
    void update_rate_limiters(const backend::RateLimiterConfig& rx,
                              const backend::RateLimiterConfig& tx);

    // Tells the network behind the TAP that the guest's address is here now, so that switches send
    // its packets here. Nothing when the configuration names no address: the guest's own is not
    // known, and its next packet tells.
    void announce() noexcept;

    [[nodiscard]] const backend::Tap& tap() const noexcept { return tap_; }
    // With the rate limits of now.
    [[nodiscard]] NetConfig config() const;
    [[nodiscard]] NetMetrics metrics() const noexcept;

    // While the vCPUs and the event loop's devices stand still. Buffers that were at hand are in
    // their queue again, so that the queues' indices tell all; the device may go on afterwards.
    [[nodiscard]] NetState save() noexcept;
    // Before activate(); throws as the constructor does.
    void restore(const NetState& state);
    // The latter comes after restore().
    [[nodiscard]] NetBudgets save_budgets() noexcept;
    void restore_budgets(const NetBudgets& state) noexcept;

    [[nodiscard]] std::uint32_t device_id() const noexcept override;
    [[nodiscard]] std::uint64_t features() const noexcept override;
    [[nodiscard]] std::uint32_t queue_count() const noexcept override { return 2; }
    [[nodiscard]] std::uint32_t queue_size_max() const noexcept override { return 256; }
    void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override;
    void write_config(std::uint64_t, std::span<const std::byte>) noexcept override {}
    void activate(std::uint64_t features, std::span<Queue> queues,
                  Transport& transport) noexcept override;
    void stop_queue(std::uint32_t idx) noexcept override;
    void reset() noexcept override;
    void process() noexcept override;

private:
    class Watch;

    void watch_limiters();
    void on_tap(std::uint32_t events) noexcept;
    void on_rx_timer(std::uint32_t events) noexcept;
    void on_tx_timer(std::uint32_t events) noexcept;
    void link_down() noexcept;
    [[nodiscard]] Done receive() noexcept;
    [[nodiscard]] Done transmit() noexcept;
    void end_turn(const Done& done) noexcept {
        virtio::end_turn(*this, *transport_, queues_, done);
    }
    void wait_for_writable_tap() noexcept;

    NetConfig config_;
    backend::Tap tap_;
    host::Reactor& reactor_;
    NetMetrics metrics_;
    NetReceiver receiver_;
    NetTransmitter transmitter_;
    bool link_is_up_ = true;
    bool watches_for_writable_ = false;
    Transport* transport_ = nullptr;  // while the device is active
    std::span<Queue> queues_;         // empty while it is not
    // Last, so that nothing is watched any more when the rest goes.
    std::unique_ptr<Watch> tap_watch_;
    std::unique_ptr<Watch> rx_timer_watch_;
    std::unique_ptr<Watch> tx_timer_watch_;
};

}  // namespace shoal::virtio
