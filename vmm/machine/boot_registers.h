// The registers of the first vCPU at its first instruction, for either boot protocol.
#pragma once

#include "vmm/boot/boot.h"
#include "vmm/kvm/vcpu.h"

namespace shoal::vmm {

void set_boot_registers(kvm::Vcpu& vcpu, const boot::EntryPoint& entry);

}  // namespace shoal::vmm
