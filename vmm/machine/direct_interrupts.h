// DirectInterrupts: events that another process signals and that reach the guest as interrupts
// without this one (irqfd), as edges on lines of the I/O APIC.
//
// The I/O APIC stays the only place where the guest says what a line's edge becomes: KVM's routes
// follow it, while the line is masked there is none and an edge is lost, as on the other lines.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "devices/host/event_fd.h"
#include "devices/legacy/ioapic.h"
#include "vmm/kvm/vm.h"

namespace shoal::vmm {

class DirectInterrupts {
public:
    // Borrows both. The I/O APIC tells nobody else of what it routes.
    DirectInterrupts(legacy::IoApic& ioapic, kvm::Vm& vm);
    ~DirectInterrupts();
    DirectInterrupts(const DirectInterrupts&) = delete;
    DirectInterrupts& operator=(const DirectInterrupts&) = delete;

    // Before the first vCPU runs. Borrows the event for the machine's life; nobody else waits for
    // it. Throws std::system_error.
    void add(const host::EventFd& event, std::uint32_t pin);

private:
    void follow() noexcept;

    legacy::IoApic& ioapic_;
    kvm::Vm& vm_;
    std::vector<std::uint32_t> pins_;
    std::mutex mutex_;  // so that what was read last is set last
    std::vector<kvm::Vm::Route> routes_;
    std::vector<kvm::Vm::Route>
        wanted_;  // room for the next ones: a guest's write allocates nothing
};

}  // namespace shoal::vmm
