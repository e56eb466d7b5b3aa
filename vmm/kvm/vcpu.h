// Vcpu: one virtual CPU. Made anywhere, then used by the thread that runs it; only kick() and
// clear_kick() may be called from other threads.
#pragma once

#include <linux/kvm.h>

#include <cstdint>

#include "devices/host/mapping.h"
#include "devices/host/unique_fd.h"
#include "vmm/kvm/cpu_topology.h"
#include "vmm/kvm/exit.h"
#include "vmm/kvm/vcpu_state.h"
#include "vmm/kvm/vm.h"

namespace shoal::kvm {

class Vcpu {
public:
    // `idx` is also the local APIC's id.
    Vcpu(const Vm& vm, std::uint32_t idx, const CpuTopology& topology);

    // Runs the guest until it needs us. Throws std::system_error only for a broken KVM.
    // A PortAccess or MmioAccess borrows memory of this vCPU until the next run().
    [[nodiscard]] Exit run();

    // Makes the next run() return Interrupted at once, after completing the guest's last access.
    // A run() that is under way needs a signal to its thread besides.
    void kick() noexcept;
    void clear_kick() noexcept;

    [[nodiscard]] kvm_regs registers() const;
    void set_registers(kvm_regs registers);
    [[nodiscard]] kvm_sregs special_registers() const;
    void set_special_registers(kvm_sregs registers);
    // A model-specific register. One that this KVM backend does not have stays as it is.
    void set_msr(std::uint32_t idx, std::uint64_t value) noexcept;

    // Lets a vCPU that is not the first run without INIT and SIPI from another.
    void make_runnable();

    // Before it runs again: a guest with a kvmclock is told that it stood still, so that its
    // watchdogs take the time for no lockup.
    void tell_of_pause() noexcept;

    // While the vCPU stands still, on any thread. The latter throws with one sentence when a guest
    // with that CPU cannot run here.
    [[nodiscard]] CpuModel cpu_model() const;
    void expect_model(const CpuModel& model) const;

    // While the vCPU stands still and its last access is complete. Any thread.
    [[nodiscard]] VcpuState save() const;
    // Before the first run(). Throws with one sentence when this KVM cannot go on from there.
    void restore(VcpuState state);

private:
    [[nodiscard]] kvm_run& shared() const noexcept;
    [[nodiscard]] Exit decode() const noexcept;

    const Kvm* kvm_;
    std::size_t xsave_bytes_;
    host::UniqueFd fd_;
    host::Mapping run_;
};

}  // namespace shoal::kvm
