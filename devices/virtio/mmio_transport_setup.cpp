// The driver's way from reset to DRIVER_OK and back (virtio 1.2, 3.1): status, features, queues.
#include <algorithm>

#include "devices/virtio/mmio_transport.h"

namespace shoal::virtio {

using machine::Gpa;

namespace {

// `whole` with the 32 bits from `shift` on replaced.
constexpr std::uint64_t with_half(std::uint64_t whole, unsigned shift,
                                  std::uint32_t value) noexcept {
    constexpr std::uint64_t ones = 0xFFFF'FFFF;
    return (whole & ~(ones << shift)) | std::uint64_t{value} << shift;
}

}  // namespace

void MmioTransport::write_status(std::uint32_t value) noexcept {
    using namespace abi::virtio::status;
    if (value == 0) {
        reset();
        return;
    }
    if ((value & failed) != 0 && (trouble_ & failed) == 0) {
        trouble_ |= failed;  // the driver gave up; only a reset follows
        device_.reset();
        remainder_ = Remainder::drain;
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
        driver_features_ = with_half(driver_features_, 32 * driver_features_select_, value);
    }
}

// At work, of queues that were set up before: those of a size (see activate()).
QueueLayout* MmioTransport::open_layout() noexcept {
    if (queue_select_ >= queues_.size() || queues_[queue_select_].is_ready()) {
        return nullptr;
    }
    QueueLayout& layout = layouts_[queue_select_];
    const bool open = status_ == Status::features_ok || (is_active() && layout.size != 0);
    return open ? &layout : nullptr;
}

void MmioTransport::write_address(Gpa QueueLayout::*address, Half half,
                                  std::uint32_t value) noexcept {
    if (QueueLayout* const layout = open_layout()) {
        const unsigned shift = half == Half::high ? 32 : 0;
        layout->*address = Gpa{with_half((layout->*address).value(), shift, value)};
    }
}

void MmioTransport::write_queue_ready(std::uint32_t value) noexcept {
    if (value == 0) {
        stop_queue();
    } else if (const QueueLayout* const layout = open_layout(); layout != nullptr && value == 1) {
        start_queue(*layout);
    }
}

void MmioTransport::write_queue_reset(std::uint32_t value) noexcept {
    if (value == 1 && (driver_features_ & abi::virtio::feature::ring_reset) != 0) {
        stop_queue();
    }
}

void MmioTransport::start_queue(const QueueLayout& layout) noexcept {
    const auto configured = queues_[queue_select_].configure(layout, device_.queue_size_max());
    if (!configured) {
        last_error_ = configured.error();  // and queue_ready still reads 0
    } else if (is_active()) {
        device_.start_queue(queue_select_);
        remainder_ = Remainder::complete_activation;
        notify_.signal();
    }
}

// By queue_ready or by queue_reset, with the same end: 4.2.2.1 of both.
void MmioTransport::stop_queue() noexcept {
    if (queue_select_ >= queues_.size() || !queues_[queue_select_].is_ready()) {
        return;
    }
    if (is_active()) {
        device_.stop_queue(queue_select_);
        remainder_ = Remainder::drain;
    }
    queues_[queue_select_].reset();
}

void MmioTransport::reset() noexcept {
    ++metrics_.reset_count;
    device_.reset();
    remainder_ = Remainder::drain;
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
    for (std::size_t idx = 0; idx < queues_.size(); ++idx) {
        queues_[idx].set_features(driver_features_);
        if (!queues_[idx].is_ready()) {
            layouts_[idx] = {};  // what was not set up by now never is
        }
    }
    device_.activate(driver_features_, queues_, *this);
    remainder_ = Remainder::complete_activation;
    notify_.signal();  // for buffers that were there before
}

}  // namespace shoal::virtio
