// VmShell: a VM before it is a machine: its memory's place, its interrupt controllers, its vCPUs.
// All that takes KVM a while, and that can be there before it is known which microVM it will be.
#pragma once

#include <cstdint>
#include <vector>

#include "devices/machine/guest_memory.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"

namespace shoal::vmm {

struct VmShell {
    // What the memory holds may change until a vCPU runs, its place may not. Borrows both.
    VmShell(const kvm::Kvm& kvm, const machine::GuestMemory& memory,
            const kvm::CpuTopology& topology);

    kvm::Vm vm;
    std::vector<kvm::Vcpu> vcpus;
    std::uint64_t created_us = 0;  // on CLOCK_MONOTONIC, before its vCPUs
};

}  // namespace shoal::vmm
