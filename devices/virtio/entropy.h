// Entropy: the host's random numbers for the guest (virtio 1.2, 5.4).
//
// getrandom() writes straight into the driver's buffers. What one buffer and one pass may ask for
// is bounded; a buffer that is filled in part is the driver's to ask again (5.4.6.1).
// Queue and timer are served on the event loop; the device's mutex guards everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "devices/backend/rate_limiter.h"
#include "devices/host/metrics.h"
#include "devices/host/reactor.h"
#include "devices/virtio/allowance.h"
#include "devices/virtio/device.h"

namespace shoal::virtio {

struct EntropyMetrics {
    std::uint64_t activate_fails = 0;
    std::uint64_t entropy_event_count = 0;  // buffers filled
    std::uint64_t entropy_event_fails = 0;  // buffers given back empty, and malformed queues
    std::uint64_t entropy_bytes = 0;
    std::uint64_t host_rng_fails = 0;
    std::uint64_t entropy_rate_limiter_throttled = 0;
    std::uint64_t rate_limiter_event_count = 0;

    void report(host::MetricSink& sink) const;
};

struct EntropyState {
    std::optional<std::uint16_t> waiting;  // head of the chain that the rate limiter holds back

    friend bool operator==(const EntropyState&, const EntropyState&) = default;
};

class Entropy final : public Device, private host::EventHandler {
public:
    // One buffer is filled up to here.
    static constexpr std::size_t max_request_bytes = 64 << 10;

    // Borrows the reactor. Throws std::system_error when the host has no timer.
    Entropy(host::Reactor& reactor, const backend::RateLimiterConfig& limits);
    ~Entropy() override;

    // A bucket that the update leaves out stays as it is. Throws as the constructor does.
    void update_rate_limiter(const backend::RateLimiterConfig& update);
    [[nodiscard]] backend::RateLimiterConfig rate_limiter() const noexcept;

    [[nodiscard]] EntropyMetrics metrics() const noexcept;

    // While nothing runs. restore() comes after the transport's; false when the state
    // does not fit the queues.
    [[nodiscard]] EntropyState save() const noexcept;
    [[nodiscard]] bool restore(const EntropyState& state) noexcept;
    // What the rate limiter has left.
    [[nodiscard]] backend::RateLimiterState save_budget() const noexcept;
    void restore_budget(const backend::RateLimiterState& state) noexcept;

    [[nodiscard]] std::uint32_t device_id() const noexcept override;
    [[nodiscard]] std::uint64_t features() const noexcept override { return 0; }
    [[nodiscard]] std::uint32_t queue_count() const noexcept override { return 1; }
    [[nodiscard]] std::uint32_t queue_size_max() const noexcept override { return Queue::max_size; }
    void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override;
    void write_config(std::uint64_t, std::span<const std::byte>) noexcept override {}
    void activate(std::uint64_t features, std::span<Queue> queues,
                  Transport& transport) noexcept override;
    void stop_queue(std::uint32_t idx) noexcept override;
    void reset() noexcept override;
    void process() noexcept override;

private:
    // A request of the largest size takes the host 0.2 ms.
    static constexpr Allowance allowance_per_pass{.chains = 16, .bytes = max_request_bytes};

    void on_events(std::uint32_t events) noexcept override;  // the limiter's timer
    void watch_timer();
    // False when there is nothing more to do now.
    [[nodiscard]] std::expected<bool, QueueError> serve_one(Allowance& allowance) noexcept;
    [[nodiscard]] std::expected<bool, QueueError> take_request() noexcept;
    [[nodiscard]] std::size_t fill(const Chain& chain, std::size_t size_bytes) noexcept;

    host::Reactor& reactor_;
    backend::RateLimiter limiter_;
    bool timer_watched_ = false;
    EntropyMetrics metrics_;
    Queue* queue_ = nullptr;  // while the device is active
    Transport* transport_ = nullptr;
    std::optional<Chain> request_;  // popped and not served
};

}  // namespace shoal::virtio
