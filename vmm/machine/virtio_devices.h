// VirtioDevices: gives every virtio device its registers, its interrupt and its place on the event
// loop.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "devices/legacy/ioapic.h"
#include "devices/machine/guest_memory.h"
#include "devices/virtio/device.h"
#include "devices/virtio/mmio_transport.h"
#include "firmware/machine_layout.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine/bus.h"
#include "vmm/machine/direct_interrupts.h"
#include "vmm/machine/event_loop.h"

namespace shoal::vmm {

// How a driver's notification reaches the device.
enum class Notification {
    exit,       // a vCPU exit: nothing to tear down, for machines that live for milliseconds
    ioeventfd,  // the kernel signals the event loop while the vCPU goes on
};

// What the devices are wired to. Borrowed.
struct VirtioSurroundings {
    const machine::GuestMemory& memory;
    legacy::IoApic& ioapic;
    Bus& mmio;
    EventLoop& loop;
    kvm::Vm& vm;
};

// Filled before the first vCPU runs. On the event loop's thread.
class VirtioDevices {
public:
    explicit VirtioDevices(const VirtioSurroundings& surroundings);
    ~VirtioDevices();

    // The device gets the next free slot. Borrows it. Throws std::runtime_error when there is none
    // left.
    void add(virtio::Device& device, Notification notification);

    // In the order of add(): what the guest is told.
    [[nodiscard]] std::span<const firmware::VirtioMmioSlot> slots() const noexcept {
        return slots_;
    }

    // While paused, and after the devices saved theirs: by slot.
    [[nodiscard]] std::vector<virtio::MmioTransportState> save() const;
    // After all were added. The devices do nothing until resume(). Throws std::invalid_argument.
    void restore(std::span<const virtio::MmioTransportState> states);
    void resume() noexcept;

    // No vCPU runs: takes what the guest made available, once.
    void process_queues() noexcept;

private:
    class Attachment;

    VirtioSurroundings surroundings_;
    DirectInterrupts direct_interrupts_;
    std::vector<firmware::VirtioMmioSlot> slots_;
    std::vector<std::unique_ptr<Attachment>> attachments_;
    bool are_suspended_ = false;  // since restore()
};

}  // namespace shoal::vmm
