// Balloon: memory that the guest gives back to the host and takes again (virtio 1.2, 5.5).
//
// The host sets a target, the driver inflates towards it; statistics, free page hinting and free
// page reporting are on when the configuration says so. Pages that the guest gives up are really
// freed: they cost the host nothing and read as zeros. A page that is no memory is counted and
// skipped; a guest can only hurt itself.
// Queues and the statistics timer are served on the event loop; the host's side (targets,
// statistics, hinting) may be called on any thread. The device's mutex guards everything.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>

#include "devices/abi/virtio_balloon.h"
#include "devices/host/reactor.h"
#include "devices/host/unique_fd.h"
#include "devices/machine/guest_memory.h"
#include "devices/virtio/balloon_hinting.h"
#include "devices/virtio/balloon_metrics.h"
#include "devices/virtio/balloon_pages.h"
#include "devices/virtio/balloon_statistics.h"
#include "devices/virtio/device.h"
#include "devices/virtio/end_turn.h"

namespace shoal::virtio {

struct BalloonConfig {
    std::uint32_t target_pages = 0;  // of 4 KiB
    bool deflate_on_oom = false;
    std::uint16_t stats_polling_interval_s = 0;  // 0: no statistics
    bool free_page_hinting = false;
    bool free_page_reporting = false;

    friend bool operator==(const BalloonConfig&, const BalloonConfig&) = default;
};

// Why the host's request was refused.
enum class BalloonError {
    not_active,               // no driver has set the device up
    statistics_disabled,      // the configuration has no polling interval
    statistics_state_change,  // from 0 or to 0
    hinting_disabled,
};

struct BalloonStatisticsReport {
    std::uint32_t target_pages = 0;
    std::uint32_t actual_pages = 0;
    GuestStatistics guest{};

    friend bool operator==(const BalloonStatisticsReport&,
                           const BalloonStatisticsReport&) = default;
};

struct BalloonState {
    BalloonStatisticsReport statistics;
    std::uint16_t stats_polling_interval_s = 0;
    std::optional<std::uint16_t> statistics_buffer;  // head of the chain that the device holds
    HintingState hinting;

    friend bool operator==(const BalloonState&, const BalloonState&) = default;
};

class Balloon final : public Device, private host::EventHandler {
public:
    using Result = std::expected<void, BalloonError>;

    // Borrows memory and reactor. Throws std::system_error when the host has no timer.
    Balloon(const machine::GuestMemory& memory, host::Reactor& reactor,
            const BalloonConfig& config);
    ~Balloon() override;

    [[nodiscard]] BalloonConfig config() const noexcept;  // as it is now
    [[nodiscard]] Result set_target(std::uint32_t pages) noexcept;
    [[nodiscard]] std::expected<BalloonStatisticsReport, BalloonError> statistics() const noexcept;
    [[nodiscard]] Result set_polling_interval(std::uint16_t interval_s) noexcept;

    [[nodiscard]] Result start_hinting(AcknowledgeOnStop acknowledge) noexcept;
    [[nodiscard]] Result stop_hinting() noexcept;
    [[nodiscard]] std::expected<HintingStatus, BalloonError> hinting_status() const noexcept;

    [[nodiscard]] BalloonMetrics metrics() const noexcept;

    // While nothing runs. restore() comes after the transport's.
    [[nodiscard]] BalloonState save() const noexcept;
    void restore(const BalloonState& state) noexcept;

    [[nodiscard]] std::uint32_t device_id() const noexcept override;
    [[nodiscard]] std::uint64_t features() const noexcept override;
    [[nodiscard]] std::uint32_t queue_count() const noexcept override;
    [[nodiscard]] std::uint32_t queue_size_max() const noexcept override { return Queue::max_size; }
    void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override;
    void write_config(std::uint64_t offset, std::span<const std::byte> data) noexcept override;
    void activate(std::uint64_t features, std::span<Queue> queues,
                  Transport& transport) noexcept override;
    void stop_queue(std::uint32_t idx) noexcept override;
    void reset() noexcept override;
    void process() noexcept override;

private:
    // Whether the chain is done; if not, it is served again from where it was left.
    enum class Served : std::uint8_t { all, part };
    using Serve = Served (Balloon::*)(const Chain&, Allowance&) noexcept;

    void on_events(std::uint32_t events) noexcept override;  // the statistics timer
    [[nodiscard]] Done process_all() noexcept;
    [[nodiscard]] Done serve_queue(Queue* queue, Serve serve) noexcept;
    [[nodiscard]] Done take_statistics() noexcept;
    void end_turn(const Done& done) noexcept;

    [[nodiscard]] Served inflate(const Chain& chain, Allowance& allowance) noexcept;
    [[nodiscard]] Served deflate(const Chain& chain, Allowance& allowance) noexcept;
    [[nodiscard]] Served take_hint(const Chain& chain, Allowance& allowance) noexcept;
    [[nodiscard]] Served take_report(const Chain& chain, Allowance& allowance) noexcept;
    void hear_hinting_command(const Chain& chain) noexcept;

    void change_config() noexcept;
    void set_timer(std::uint16_t interval_s) noexcept;

    const machine::GuestMemory& memory_;
    host::Reactor& reactor_;
    const std::uint64_t features_;
    host::UniqueFd timer_;  // when there are statistics
    std::uint16_t polling_interval_s_;
    std::uint32_t target_pages_;
    std::uint32_t actual_pages_ = 0;
    BalloonStatistics statistics_;
    BalloonHinting hinting_;
    BalloonMetrics metrics_;
    Transport* transport_ = nullptr;  // while the device is active
    std::span<Queue> queues_;         // empty while it is not
    Queue* statistics_queue_ = nullptr;
    Queue* hinting_queue_ = nullptr;
    Queue* reporting_queue_ = nullptr;
    DiscardProgress hint_progress_;  // of the first chain in its queue
    DiscardProgress report_progress_;
};

}  // namespace shoal::virtio
