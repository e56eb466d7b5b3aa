// virtio-mmio's registers.
#include "devices/virtio/mmio_transport.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

namespace shoal::virtio {

using abi::virtio::MmioRegister;
using machine::Gpa;

namespace {

constexpr std::uint32_t vendor_id = 0x4C4F'4853;  // "SHOL"
constexpr auto config_offset = static_cast<std::uint64_t>(MmioRegister::config);

constexpr std::uint64_t transport_features = abi::virtio::feature::version_1 |
                                             abi::virtio::feature::event_idx |
                                             abi::virtio::feature::indirect_desc;

constexpr std::uint64_t low_half = 0xFFFF'FFFF;
constexpr std::uint64_t high_half = low_half << 32;

// Features are shown 32 at a time; there are none beyond bit 63.
constexpr std::uint32_t window(std::uint64_t features, std::uint32_t select) noexcept {
    return select < 2 ? static_cast<std::uint32_t>(features >> 32 * select) : 0;
}

}  // namespace

MmioTransport::MmioTransport(Device& device, const machine::GuestMemory& memory,
                             machine::IrqLine& irq)
    : device_{device},
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

// A driver that resets the device waits for what is in flight; the event loop does not.
void MmioTransport::write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
    if (write_locked(offset, data)) {
        device_.drain();
    }
}

bool MmioTransport::write_locked(std::uint64_t offset, std::span<const std::byte> data) noexcept {
    const std::scoped_lock lock{device_.mutex()};
    if (offset >= config_offset) {
        device_.write_config(offset - config_offset, data);
        return false;
    }
    if (data.size() == sizeof(std::uint32_t) && offset % sizeof(std::uint32_t) == 0) {
        std::uint32_t value = 0;
        std::memcpy(&value, data.data(), sizeof value);
        write_register(static_cast<MmioRegister>(offset), value);
    }
    return std::exchange(drain_due_, false);
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
            return vendor_id;
        case MmioRegister::device_features:
            return window(offered_features(), device_features_select_);
        case MmioRegister::queue_size_max:
            return queue_exists ? device_.queue_size_max() : 0;
        case MmioRegister::queue_ready:
            return queue_exists && queues_[queue_select_].is_ready() ? 1 : 0;
        case MmioRegister::interrupt_status:
            return interrupt_status_;
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
        case MmioRegister::config:
            return 0;  // write-only, and the configuration, which is not read here
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
            return write_address(&QueueLayout::descriptors, low_half, value);
        case MmioRegister::queue_descriptors_high:
            return write_address(&QueueLayout::descriptors, high_half, value);
        case MmioRegister::queue_driver_low:
            return write_address(&QueueLayout::avail, low_half, value);
        case MmioRegister::queue_driver_high:
            return write_address(&QueueLayout::avail, high_half, value);
        case MmioRegister::queue_device_low:
            return write_address(&QueueLayout::used, low_half, value);
        case MmioRegister::queue_device_high:
            return write_address(&QueueLayout::used, high_half, value);
        case MmioRegister::magic:
        case MmioRegister::version:
        case MmioRegister::device_id:
        case MmioRegister::vendor_id:
        case MmioRegister::device_features:
        case MmioRegister::queue_size_max:
        case MmioRegister::interrupt_status:
        case MmioRegister::config_generation:
        case MmioRegister::config:
            return;  // read-only, and the configuration, which is not written here
    }
}

void MmioTransport::write_status(std::uint32_t value) noexcept {
    using namespace abi::virtio::status;
    if (value == 0) {
        reset();
        return;
    }
    if ((value & failed) != 0 && (trouble_ & failed) == 0) {
        trouble_ |= failed;  // the driver gave up; only a reset follows
        device_.reset();
        drain_due_ = true;
        return;
    }
    // A driver writes back what it read: DEVICE_NEEDS_RESET is not its to change.
    const auto next = static_cast<Status>(value & ~device_needs_reset);
    if (trouble_ != 0 || !may_follow(status_, next)) {
        return;
    }
    if (next == Status::features_ok &&
        ((driver_features_ & ~offered_features()) != 0 ||
         (driver_features_ & abi::virtio::feature::version_1) == 0)) {
        return;  // the driver finds FEATURES_OK not set (3.1.1)
    }
    status_ = next;
    if (next == Status::driver_ok) {
        activate();
    }
}

void MmioTransport::write_driver_features(std::uint32_t value) noexcept {
    if (status_ != Status::driver) {
        return;
    }
    if (driver_features_select_ < 2) {
        const std::uint32_t shift = 32 * driver_features_select_;
        driver_features_ = (driver_features_ & ~(low_half << shift)) | std::uint64_t{value}
                                                                           << shift;
    }
}

QueueLayout* MmioTransport::open_layout() noexcept {
    const bool open = status_ == Status::features_ok && queue_select_ < queues_.size() &&
                      !queues_[queue_select_].is_ready();
    return open ? &layouts_[queue_select_] : nullptr;
}

void MmioTransport::write_address(Gpa QueueLayout::*address, std::uint64_t mask,
                                  std::uint64_t bits) noexcept {
    if (QueueLayout* const layout = open_layout()) {
        const std::uint64_t shifted = mask == high_half ? bits << 32 : bits;
        layout->*address = Gpa{((layout->*address).value() & ~mask) | shifted};
    }
}

void MmioTransport::write_queue_ready(std::uint32_t value) noexcept {
    if (const QueueLayout* const layout = open_layout(); layout != nullptr && value == 1) {
        const auto configured = queues_[queue_select_].configure(*layout, device_.queue_size_max());
        if (!configured) {
            last_error_ = configured.error();  // and queue_ready still reads 0
        }
        return;
    }
    if (value == 0 && status_ == Status::features_ok && queue_select_ < queues_.size()) {
        queues_[queue_select_].reset();
    }
}

void MmioTransport::reset() noexcept {
    ++metrics_.reset_count;
    device_.reset();
    drain_due_ = true;
    for (Queue& queue : queues_) {
        queue.reset();
    }
    std::ranges::fill(layouts_, QueueLayout{});
    status_ = Status::reset;
    trouble_ = 0;
    interrupt_status_ = 0;
    device_features_select_ = 0;
    driver_features_select_ = 0;
    driver_features_ = 0;
    queue_select_ = 0;
}

void MmioTransport::activate() noexcept {
    ++metrics_.activate_count;
    for (Queue& queue : queues_) {
        queue.set_features(driver_features_);
    }
    device_.activate(driver_features_, queues_, *this);
    notify_.signal();  // for buffers that were there before
}

bool MmioTransport::is_active() const noexcept {
    return status_ == Status::driver_ok && trouble_ == 0;
}

std::uint64_t MmioTransport::offered_features() const noexcept {
    return device_.features() | transport_features;
}

void MmioTransport::process_queues() noexcept {
    const std::scoped_lock lock{device_.mutex()};
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

void MmioTransport::interrupt(std::uint32_t reason) noexcept {
    interrupt_status_ |= reason;
    ++metrics_.interrupt_count;
    irq_.raise();
}

}  // namespace shoal::virtio
