// Vm: one virtual machine: its memory and interrupts.
//
// Call in this order, which is the fast one: memory, then local APICs, then vCPUs. A memory region
// added after the APICs costs an SRCU grace period (4 to 11 ms). KVM's own I/O APIC and PIC cost
// one when the machine is torn down (12 ms), so there are none; so do ioeventfds and irqfds, so
// only machines that live long have them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "devices/host/event_fd.h"
#include "devices/host/unique_fd.h"
#include "devices/machine/gpa.h"
#include "devices/machine/guest_memory.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vcpu_state.h"

namespace shoal::kvm {

enum class DirtyLogging { off, on };

class Vm {
public:
    explicit Vm(const Kvm& kvm);

    // `memory` outlives the Vm. A second time with the same memory only to change the logging,
    // which may be while vCPUs run (dirty_log.h).
    void set_memory(const machine::GuestMemory& memory, DirtyLogging logging = DirtyLogging::off);
    // A local APIC for each vCPU in the kernel; I/O APIC and PIC are ours (or absent).
    void create_local_apics();
    // Delivers a message-signalled interrupt. Any thread.
    void signal(std::uint64_t address, std::uint32_t data) const noexcept;

    // From now on a signal of `event` is an interrupt, the message that set_routes() names for the
    // line, or none; nobody else may wait for the event. Borrows it for the machine's life.
    void add_irqfd(const host::EventFd& event, std::uint32_t gsi);
    // All of them: a line that is not named has no message. Any thread, one at a time; takes some
    // 10 us. False, and no change, when the kernel has no memory left.
    struct Route {
        std::uint32_t gsi;
        std::uint64_t address;
        std::uint32_t data;

        friend bool operator==(const Route&, const Route&) = default;
    };
    [[nodiscard]] bool set_routes(std::span<const Route> routes) const noexcept;

    // From now on a 32-bit write to `address` signals `event` without leaving the kernel. Borrows
    // the event for the machine's life.
    void add_ioeventfd(machine::Gpa address, const host::EventFd& event);

    // kvmclock, while no vCPU runs. set_clock() before vCPUs are restored.
    [[nodiscard]] ClockState clock() const;
    void set_clock(std::uint64_t guest_ns);

    // What KVM_GET_XSAVE2 of its vCPUs writes.
    [[nodiscard]] std::size_t xsave_bytes() const noexcept;

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] const Kvm& kvm() const noexcept { return kvm_; }

private:
    const Kvm& kvm_;
    host::UniqueFd fd_;
};

}  // namespace shoal::kvm
