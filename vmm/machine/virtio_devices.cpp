// Attaching virtio devices to the machine.
#include "vmm/machine/virtio_devices.h"

#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include "devices/abi/address_map.h"
#include "devices/host/loop_lock.h"

namespace shoal::vmm {

// A device with all that belongs to it.
class VirtioDevices::Attachment final : public host::EventHandler {
public:
    Attachment(virtio::Device& device, const firmware::VirtioMmioSlot& slot,
               const VirtioSurroundings& surroundings)
        : device_{device},
          irq_{surroundings.ioapic, slot.gsi},
          transport_{device, surroundings.memory, irq_},
          reactor_{surroundings.loop.reactor()} {
        // Edge-triggered, so that nobody has to drain it.
        reactor_.add(transport_.notify_event().fd(), EPOLLIN | EPOLLET, *this);
    }
    // The device forgets the guest's memory before that goes.
    ~Attachment() override {
        reactor_.remove(transport_.notify_event().fd(), *this);
        {
            const std::scoped_lock lock{device_.mutex()};
            device_.reset();
        }
        device_.drain();
    }

    void on_events(std::uint32_t events) noexcept override {
        if (const host::LoopLock lock{device_.mutex(), reactor_, *this, events}) {
            transport_.process_queues_locked();
        }
    }

    [[nodiscard]] virtio::MmioTransport& transport() noexcept { return transport_; }

private:
    virtio::Device& device_;
    legacy::IoApic::Line irq_;
    virtio::MmioTransport transport_;
    host::Reactor& reactor_;
};

VirtioDevices::VirtioDevices(const VirtioSurroundings& surroundings)
    : surroundings_{surroundings}, direct_interrupts_{surroundings.ioapic, surroundings.vm} {}

VirtioDevices::~VirtioDevices() = default;

void VirtioDevices::add(virtio::Device& device, Notification notification) {
    const std::size_t idx = slots_.size();
    if (idx == abi::max_virtio_devices) {
        throw std::runtime_error("too many devices: a microVM has at most " +
                                 std::to_string(abi::max_virtio_devices));
    }
    const firmware::VirtioMmioSlot slot{
        machine::Gpa{abi::virtio_mmio_start + idx * abi::virtio_mmio_size}, abi::virtio_mmio_size,
        abi::virtio_first_gsi + static_cast<std::uint32_t>(idx)};
    auto attachment = std::make_unique<Attachment>(device, slot, surroundings_);
    if (notification == Notification::ioeventfd) {
        surroundings_.vm.add_ioeventfd(
            machine::Gpa{slot.start.value() + virtio::MmioTransport::notify_offset},
            attachment->transport().notify_event());
    }
    if (const host::EventFd* const event = device.used_event()) {
        direct_interrupts_.add(*event, slot.gsi);
    }
    surroundings_.mmio.add(slot.start.value(), slot.size_bytes, attachment->transport());
    slots_.push_back(slot);
    attachments_.push_back(std::move(attachment));
}

std::vector<virtio::MmioTransportState> VirtioDevices::save() const {
    std::vector<virtio::MmioTransportState> states;
    for (const auto& attachment : attachments_) {
        states.push_back(attachment->transport().save());
    }
    return states;
}

void VirtioDevices::restore(std::span<const virtio::MmioTransportState> states) {
    if (states.size() != attachments_.size()) {
        throw std::invalid_argument("the saved state has " + std::to_string(states.size()) +
                                    " virtio devices, its configuration has " +
                                    std::to_string(attachments_.size()));
    }
    for (std::size_t idx = 0; idx < states.size(); ++idx) {
        attachments_[idx]->transport().restore(states[idx]);
    }
    are_suspended_ = true;
}

void VirtioDevices::resume() noexcept {
    if (!std::exchange(are_suspended_, false)) {
        return;
    }
    for (const auto& attachment : attachments_) {
        attachment->transport().resume();
    }
}

void VirtioDevices::process_queues() noexcept {
    for (const auto& attachment : attachments_) {
        attachment->transport().process_queues();
    }
}

}  // namespace shoal::vmm
