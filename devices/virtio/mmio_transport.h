// MmioTransport: a virtio device's registers in memory, version 2 (virtio 1.2, 4.2.2).
//
// Registers are accessed on vCPU threads, queues are processed on the event loop; the device's
// mutex guards both. What the driver must not do is ignored, as if it had not been written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "devices/abi/address_map.h"
#include "devices/abi/virtio_mmio.h"
#include "devices/host/event_fd.h"
#include "devices/host/metrics.h"
#include "devices/machine/bus_device.h"
#include "devices/machine/guest_memory.h"
#include "devices/machine/irq_line.h"
#include "devices/virtio/device.h"
#include "devices/virtio/queue.h"
#include "devices/virtio/status.h"

namespace shoal::virtio {

struct MmioTransportMetrics {
    std::uint64_t activate_count = 0;
    std::uint64_t reset_count = 0;
    std::uint64_t interrupt_count = 0;
    std::uint64_t queue_error_count = 0;  // the driver's mistakes

    void report(host::MetricSink& sink) const {
        sink.counter("activate_count", activate_count);
        sink.counter("reset_count", reset_count);
        sink.counter("interrupt_count", interrupt_count);
        sink.counter("queue_error_count", queue_error_count);
    }
};

struct MmioQueueState {
    QueueLayout layout;
    bool is_ready = false;
    QueueState position;

    friend bool operator==(const MmioQueueState&, const MmioQueueState&) = default;
};

struct MmioTransportState {
    std::uint32_t status = 0;
    std::uint32_t trouble = 0;
    std::uint32_t interrupt_status = 0;
    std::uint32_t config_generation = 0;
    std::uint32_t device_features_select = 0;
    std::uint32_t driver_features_select = 0;
    std::uint64_t driver_features = 0;
    std::uint32_t queue_select = 0;
    std::vector<MmioQueueState> queues;

    friend bool operator==(const MmioTransportState&, const MmioTransportState&) = default;
};

class MmioTransport final : public machine::BusDevice, private Transport {
public:
    static constexpr std::uint64_t size_bytes = abi::virtio_mmio_size;
    // A 32-bit write of any value here may go to notify_event() by an ioeventfd instead.
    static constexpr auto notify_offset =
        static_cast<std::uint64_t>(abi::virtio::MmioRegister::queue_notify);

    // Borrows all three; the device is this transport's alone. Throws when the host has no eventfd.
    MmioTransport(Device& device, const machine::GuestMemory& memory, machine::IrqLine& irq);

    void read(std::uint64_t offset, std::span<std::byte> data) noexcept override;
    void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override;

    // Signalled by the driver's notifications. Whoever waits for it drains it and then calls
    // process_queues() on the event loop.
    [[nodiscard]] const host::EventFd& notify_event() const noexcept { return notify_; }
    void process_queues() noexcept;
    // With the device's mutex held.
    void process_queues_locked() noexcept;

    // While neither vCPUs nor the event loop run: that is all there is to a pause.
    [[nodiscard]] MmioTransportState save() const;
    // On a new transport with a new device, which it activates if it was active. The device's own
    // restore() is next, then resume(); nothing runs before.
    // Throws std::invalid_argument for a state that this device and memory cannot have.
    void restore(const MmioTransportState& state);
    // A pass over the queues, and the interrupt again if one was not acknowledged.
    void resume() noexcept;

    // Why the device last stood still, for a message to the operator.
    [[nodiscard]] std::optional<QueueError> last_error() const noexcept;
    [[nodiscard]] MmioTransportMetrics metrics() const noexcept;

private:
    enum class Half : std::uint8_t { low, high };  // of an address
    // What remains to be done without the mutex after an access of the driver's.
    enum class Remainder : std::uint8_t { nothing, drain, complete_activation };

    void used_buffers(Queue& queue) noexcept override;
    void process_again() noexcept override { notify_.signal(); }
    void config_changed() noexcept override;
    void fail(QueueError error) noexcept override;

    [[nodiscard]] std::uint32_t read_register(abi::virtio::MmioRegister which) const noexcept;
    void write_all(machine::Gpa at) noexcept;
    [[nodiscard]] Remainder write_locked(std::uint64_t offset,
                                         std::span<const std::byte> data) noexcept;
    void write_register(abi::virtio::MmioRegister which, std::uint32_t value) noexcept;
    void write_status(std::uint32_t value) noexcept;
    void write_driver_features(std::uint32_t value) noexcept;
    void write_queue_ready(std::uint32_t value) noexcept;
    void write_queue_reset(std::uint32_t value) noexcept;
    void start_queue(const QueueLayout& layout) noexcept;
    void stop_queue() noexcept;
    void write_address(machine::Gpa QueueLayout::*address, Half half, std::uint32_t value) noexcept;
    void reset() noexcept;
    void activate() noexcept;
    void restore_queue(std::size_t idx, const MmioQueueState& state);
    void interrupt(std::uint32_t reason) noexcept;
    [[nodiscard]] std::uint32_t interrupt_reasons() const noexcept;
    [[nodiscard]] std::uint64_t offered_features() const noexcept;
    [[nodiscard]] bool is_active() const noexcept;
    // The selected queue's layout while the driver may change it, else nullptr.
    [[nodiscard]] QueueLayout* open_layout() noexcept;

    Device& device_;
    const machine::GuestMemory& memory_;
    machine::IrqLine& irq_;
    host::EventFd notify_;
    std::vector<Queue> queues_;
    std::vector<QueueLayout> layouts_;
    Status status_ = Status::reset;
    std::uint32_t trouble_ = 0;  // DEVICE_NEEDS_RESET, FAILED
    std::uint32_t interrupt_status_ = 0;
    std::uint32_t config_generation_ = 0;
    std::uint32_t device_features_select_ = 0;
    std::uint32_t driver_features_select_ = 0;
    std::uint64_t driver_features_ = 0;
    std::uint32_t queue_select_ = 0;
    Remainder remainder_ = Remainder::nothing;  // of the access at hand
    std::optional<QueueError> last_error_;
    MmioTransportMetrics metrics_;
};

}  // namespace shoal::virtio
