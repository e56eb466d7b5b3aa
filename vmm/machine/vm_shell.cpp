// The order is the fast one: see kvm::Vm.
#include "vmm/machine/vm_shell.h"

#include "devices/host/clock.h"

namespace shoal::vmm {

VmShell::VmShell(const kvm::Kvm& kvm, const machine::GuestMemory& memory,
                 const kvm::CpuTopology& topology)
    : vm{kvm} {
    vm.set_memory(memory);
    vm.create_local_apics();
    created_us = host::monotonic_us();
    for (std::uint32_t idx = 0; idx < topology.vcpu_count; ++idx) {
        vcpus.emplace_back(vm, idx, topology);
    }
}

}  // namespace shoal::vmm
