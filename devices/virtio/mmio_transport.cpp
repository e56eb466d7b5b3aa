// virtio-mmio's registers: who reads and writes what, and what the device tells.
#include "devices/virtio/mmio_transport.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

namespace shoal::virtio {

using abi::virtio::MmioRegister;

namespace {

constexpr auto config_offset = static_cast<std::uint64_t>(MmioRegister::config);
constexpr auto shoal_writes_offset = static_cast<std::uint64_t>(MmioRegister::shoal_writes);

constexpr std::uint64_t transport_features =
    abi::virtio::feature::version_1 | abi::virtio::feature::event_idx |
    abi::virtio::feature::indirect_desc | abi::virtio::feature::ring_reset;

// Features are shown 32 at a time; there are none beyond bit 63.
constexpr std::uint32_t window(std::uint64_t features, std::uint32_t select) noexcept {
    return select < 2 ? static_cast<std::uint32_t>(features >> 32 * select) : 0;
}

}  // namespace

MmioTransport::MmioTransport(Device& device, const machine::GuestMemory& memory,
                             machine::IrqLine& irq)
    : device_{device},
      memory_{memory},
      irq_{irq},
      queues_(device.queue_count(), Queue{memory}),
      layouts_(device.queue_count()) {}

void MmioTransport::read(std::uint64_t offset, std::span<std::byte> data) noexcept {
    const std::scoped_lock lock{device_.mutex()};
    if (offset >= config_offset) {
        device_.read_config(offset - config_offset, data);
        return;
    }
    std::ranges::fill(data, std::byte{0});
    if (data.size() == sizeof(std::uint32_t) && offset % sizeof(std::uint32_t) == 0) {
        const std::uint32_t value = read_register(static_cast<MmioRegister>(offset));
        std::memcpy(data.data(), &value, sizeof value);
    }
}

// The driver waits for what is in flight when it resets the device; the event loop does not.
void MmioTransport::write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
    if (offset == shoal_writes_offset && data.size() == sizeof(std::uint32_t)) {
        std::uint32_t value = 0;
        std::memcpy(&value, data.data(), sizeof value);
        return write_all(machine::Gpa{value * abi::virtio::mmio_writes_alignment});
    }
    switch (write_locked(offset, data)) {
        case Remainder::nothing:
            return;
        case Remainder::drain:
            return device_.drain();
        case Remainder::complete_activation:
            return device_.complete_activation();
    }
}

// What the driver changes of them meanwhile is not seen.
void MmioTransport::write_all(machine::Gpa at) noexcept {
    const auto all = memory_.read<abi::virtio::MmioWrites>(at);
    if (!all || all->count > all->writes.size()) {
        return;
    }
    for (const abi::virtio::MmioWrite& each : std::span{all->writes}.first(all->count)) {
        if (each.offset != shoal_writes_offset && each.offset <= size_bytes - sizeof each.value) {
            write(each.offset, std::as_bytes(std::span{&each.value, 1}));
        }
    }
}

MmioTransport::Remainder MmioTransport::write_locked(std::uint64_t offset,
                                                     std::span<const std::byte> data) noexcept {
    const std::scoped_lock lock{device_.mutex()};
    if (offset >= config_offset) {
        device_.write_config(offset - config_offset, data);
        return Remainder::nothing;
    }
    if (data.size() == sizeof(std::uint32_t) && offset % sizeof(std::uint32_t) == 0) {
        std::uint32_t value = 0;
        std::memcpy(&value, data.data(), sizeof value);
        write_register(static_cast<MmioRegister>(offset), value);
    }
    return std::exchange(remainder_, Remainder::nothing);
}

std::uint32_t MmioTransport::read_register(MmioRegister which) const noexcept {
    const bool queue_exists = queue_select_ < queues_.size();
    switch (which) {
        case MmioRegister::magic:
            return abi::virtio::mmio_magic;
        case MmioRegister::version:
            return abi::virtio::mmio_version;
        case MmioRegister::device_id:
            return device_.device_id();
        case MmioRegister::vendor_id:
            return abi::virtio::mmio_vendor_shoal;
        case MmioRegister::device_features:
            return window(offered_features(), device_features_select_);
        case MmioRegister::queue_size_max:
            return queue_exists ? device_.queue_size_max() : 0;
        case MmioRegister::queue_ready:
            return queue_exists && queues_[queue_select_].is_ready() ? 1 : 0;
        case MmioRegister::interrupt_status:
            return interrupt_reasons();
        case MmioRegister::status:
            return static_cast<std::uint32_t>(status_) | trouble_;
        case MmioRegister::config_generation:
            return config_generation_;
        case MmioRegister::device_features_select:
        case MmioRegister::driver_features:
        case MmioRegister::driver_features_select:
        case MmioRegister::queue_select:
        case MmioRegister::queue_size:
        case MmioRegister::queue_notify:
        case MmioRegister::interrupt_acknowledge:
        case MmioRegister::queue_descriptors_low:
        case MmioRegister::queue_descriptors_high:
        case MmioRegister::queue_driver_low:
        case MmioRegister::queue_driver_high:
        case MmioRegister::queue_device_low:
        case MmioRegister::queue_device_high:
        case MmioRegister::shoal_writes:
        case MmioRegister::config:
            return 0;  // write-only, and the configuration, which is not read here
        case MmioRegister::queue_reset:
            return 0;  // done before the driver goes on
    }
    return 0;
}

void MmioTransport::write_register(MmioRegister which, std::uint32_t value) noexcept {
    switch (which) {
        case MmioRegister::device_features_select:
            device_features_select_ = value;
            return;
        case MmioRegister::driver_features:
            write_driver_features(value);
            return;
        case MmioRegister::driver_features_select:
            driver_features_select_ = value;
            return;
        case MmioRegister::queue_select:
            queue_select_ = value;
            return;
        case MmioRegister::queue_size:
            if (QueueLayout* const layout = open_layout()) {
                layout->size = value;
            }
            return;
        case MmioRegister::queue_ready:
            write_queue_ready(value);
            return;
        case MmioRegister::queue_reset:
            write_queue_reset(value);
            return;
        case MmioRegister::queue_notify:
            notify_.signal();
            return;
        case MmioRegister::interrupt_acknowledge:
            interrupt_status_ &= ~value;
            return;
        case MmioRegister::status:
            write_status(value);
            return;
        case MmioRegister::queue_descriptors_low:
            return write_address(&QueueLayout::descriptors, Half::low, value);
        case MmioRegister::queue_descriptors_high:
            return write_address(&QueueLayout::descriptors, Half::high, value);
        case MmioRegister::queue_driver_low:
            return write_address(&QueueLayout::avail, Half::low, value);
        case MmioRegister::queue_driver_high:
            return write_address(&QueueLayout::avail, Half::high, value);
        case MmioRegister::queue_device_low:
            return write_address(&QueueLayout::used, Half::low, value);
        case MmioRegister::queue_device_high:
            return write_address(&QueueLayout::used, Half::high, value);
        case MmioRegister::magic:
        case MmioRegister::version:
        case MmioRegister::device_id:
        case MmioRegister::vendor_id:
        case MmioRegister::device_features:
        case MmioRegister::queue_size_max:
        case MmioRegister::interrupt_status:
        case MmioRegister::config_generation:
        case MmioRegister::shoal_writes:
        case MmioRegister::config:
            return;  // read-only, and what is not written here
    }
}

bool MmioTransport::is_active() const noexcept {
    return status_ == Status::driver_ok && trouble_ == 0;
}

std::uint64_t MmioTransport::offered_features() const noexcept {
    return device_.features() | transport_features;
}

void MmioTransport::process_queues() noexcept {
    const std::scoped_lock lock{device_.mutex()};
    process_queues_locked();
}

void MmioTransport::process_queues_locked() noexcept {
    if (is_active()) {
        device_.process();
    }
}

std::optional<QueueError> MmioTransport::last_error() const noexcept {
    const std::scoped_lock lock{device_.mutex()};
    return last_error_;
}

MmioTransportMetrics MmioTransport::metrics() const noexcept {
    const std::scoped_lock lock{device_.mutex()};
    return metrics_;
}

void MmioTransport::used_buffers(Queue& queue) noexcept {
    if (queue.should_interrupt()) {
        interrupt(abi::virtio::interrupt::used_buffer);
    }
}

void MmioTransport::config_changed() noexcept {
    ++config_generation_;
    interrupt(abi::virtio::interrupt::configuration_change);
}

void MmioTransport::fail(QueueError error) noexcept {
    last_error_ = error;
    ++metrics_.queue_error_count;
    trouble_ |= abi::virtio::status::device_needs_reset;
    interrupt(abi::virtio::interrupt::configuration_change);
}

// Nobody here knows when another process used buffers: the driver looks each time it asks.
std::uint32_t MmioTransport::interrupt_reasons() const noexcept {
    const bool may_be_used = device_.used_event() != nullptr && is_active();
    return interrupt_status_ | (may_be_used ? abi::virtio::interrupt::used_buffer : 0);
}

void MmioTransport::interrupt(std::uint32_t reason) noexcept {
    interrupt_status_ |= reason;
    ++metrics_.interrupt_count;
    irq_.raise();
}

}  // namespace shoal::virtio
