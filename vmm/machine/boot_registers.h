// What vCPUs start with: the first vCPU's registers at its first instruction, for either boot
// protocol, and what firmware leaves in the model-specific registers of all.
#pragma once

#include "vmm/boot/boot.h"
#include "vmm/kvm/vcpu.h"

namespace shoal::vmm {

void set_boot_registers(kvm::Vcpu& vcpu, const boot::EntryPoint& entry);

// Of a vCPU that is not the first, and where it begins.
void set_other_registers(kvm::Vcpu& vcpu, const boot::OtherCpus& cpus, std::uint32_t idx);

// Intel SDM 4 (2.1) and 3A (12.11.2.1): string instructions are fast, all memory is write-back.
void set_boot_msrs(kvm::Vcpu& vcpu);

}  // namespace shoal::vmm
