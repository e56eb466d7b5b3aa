// The order is the fast one: see kvm::Vm.
#include "vmm/machine/vm_shell.h"

#include "devices/host/clock.h"

namespace shoal::vmm {

VmShell::VmShell(const kvm::Kvm& kvm, const machine::GuestMemory& memory, std::uint32_t vcpu_count)
    : vm{kvm} {
    vm.set_memory(memory);
    vm.create_local_apics();
    created_us = host::monotonic_us();
    for (std::uint32_t idx = 0; idx < vcpu_count; ++idx) {
        vcpus.emplace_back(vm, idx, vcpu_count);
    }
}

}  // namespace shoal::vmm
