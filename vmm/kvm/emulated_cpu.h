// Whether this host's CPU is QEMU's emulator (TCG) and not one of silicon: it lacks some of what
// KVM counts on.
#pragma once

#include <cpuid.h>

#include <cstdint>

namespace shoal::kvm {

inline bool is_emulated_cpu() {
    constexpr std::uint32_t hypervisor_leaf = 0x4000'0000;
    std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    __cpuid(hypervisor_leaf, eax, ebx, ecx, edx);
    constexpr std::uint32_t tcgt = 0x5447'4354;  // of "TCGTCGTCGTCG"
    return ebx == tcgt;
}

}  // namespace shoal::kvm
