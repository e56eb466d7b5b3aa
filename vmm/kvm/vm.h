// Vm: one virtual machine: its memory and interrupts.
//
// Call in this order, which is the fast one: memory, then local APICs, then vCPUs. A memory region
// added after the APICs costs an SRCU grace period (4 to 11 ms). KVM's own I/O APIC and PIC, and
// ioeventfds, cost one when the machine is torn down (12 ms), so there are none.
#pragma once

#include <cstdint>

#include "devices/host/unique_fd.h"
#include "devices/machine/gpa.h"
#include "devices/machine/guest_memory.h"
#include "vmm/kvm/kvm.h"

namespace shoal::kvm {

class Vm {
public:
    explicit Vm(const Kvm& kvm);

    // `memory` outlives the Vm.
    void set_memory(const machine::GuestMemory& memory);
    // A local APIC for each vCPU in the kernel; I/O APIC and PIC are ours (or absent).
    void create_local_apics();
    // Delivers a message-signalled interrupt. Any thread.
    void signal(std::uint64_t address, std::uint32_t data) const noexcept;

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] const Kvm& kvm() const noexcept { return kvm_; }

private:
    const Kvm& kvm_;
    host::UniqueFd fd_;
};

}  // namespace shoal::kvm
