// The leaves that tell of threads, cores, and caches that they share (Intel SDM 2A, CPUID; AMD APM
// 3, appendix E).
#include "vmm/kvm/cpu_topology.h"

#include <bit>

namespace shoal::kvm {
namespace {

constexpr std::uint32_t cpuid_ecx_vmx = 1U << 5;
constexpr std::uint32_t cpuid_ecx_svm = 1U << 2;  // of 0x8000'0001
constexpr std::uint32_t cpuid_ecx_x2apic = 1U << 21;
constexpr std::uint32_t cpuid_ecx_tsc_deadline = 1U << 24;
constexpr std::uint32_t cpuid_ecx_hypervisor = 1U << 31;
constexpr std::uint32_t cpuid_edx_hyper_threading = 1U << 28;

// The bits that a number below `count` has.
constexpr std::uint32_t bits_of(std::uint32_t count) noexcept {
    return static_cast<std::uint32_t>(std::bit_width(count - 1));
}

// Extended topology: level 0 is threads of a core, level 1 cores of the socket.
void adapt_levels(kvm_cpuid_entry2& entry, std::uint32_t idx,
                  const CpuTopology& topology) noexcept {
    constexpr std::uint32_t type_thread = 1U << 8;
    constexpr std::uint32_t type_core = 2U << 8;
    const bool is_thread = entry.index == 0;
    const std::uint32_t count = is_thread ? topology.threads_per_core : topology.vcpu_count;
    entry.eax = bits_of(count);
    entry.ebx = count;
    entry.ecx = entry.index | (is_thread ? type_thread : type_core);
    entry.edx = idx;
}

// A cache of level 1 or 2 is a core's, others are the socket's.
void adapt_cache(kvm_cpuid_entry2& entry, const CpuTopology& topology) noexcept {
    constexpr std::uint32_t type_mask = 0x1F;
    constexpr std::uint32_t sharing_mask = 0xFFFU << 14;
    if ((entry.eax & type_mask) == 0) {
        return;  // the end of the list
    }
    const std::uint32_t level = entry.eax >> 5 & 7;
    const std::uint32_t sharing = level < 3 ? topology.threads_per_core : topology.vcpu_count;
    entry.eax = (entry.eax & ~sharing_mask) | (sharing - 1) << 14;
}

}  // namespace

// No guest is a hypervisor: the state of its guests (KVM_GET_NESTED_STATE) would be lost with each
// save.
void adapt_cpuid(kvm_cpuid_entry2& entry, std::uint32_t idx, const CpuTopology& topology) noexcept {
    const std::uint32_t count = topology.vcpu_count;
    const std::uint32_t cores = count / topology.threads_per_core;
    switch (entry.function) {
        case 0x1:
            entry.ebx = (entry.ebx & 0xFFFF) | count << 16 | idx << 24;
            entry.ecx |= cpuid_ecx_x2apic | cpuid_ecx_tsc_deadline | cpuid_ecx_hypervisor;
            entry.ecx &= ~cpuid_ecx_vmx;
            entry.edx = count > 1 ? entry.edx | cpuid_edx_hyper_threading
                                  : entry.edx & ~cpuid_edx_hyper_threading;
            break;
        case 0x4:
            adapt_cache(entry, topology);
            if ((entry.eax & 0x1F) != 0) {
                entry.eax = (entry.eax & 0x03FF'FFFF) | (cores - 1) << 26;
            }
            break;
        case 0xB:
        case 0x1F:
            adapt_levels(entry, idx, topology);
            break;
        case 0x8000'0001:
            entry.ecx &= ~cpuid_ecx_svm;
            break;
        case 0x8000'0008:
            entry.ecx = (count - 1) | bits_of(count) << 12;
            break;
        case 0x8000'001D:
            adapt_cache(entry, topology);
            break;
        case 0x8000'001E:
            entry.eax = idx;
            entry.ebx = (entry.ebx & ~0xFFFFU) | idx / topology.threads_per_core |
                        (topology.threads_per_core - 1) << 8;
            break;
        default:
            break;
    }
}

}  // namespace shoal::kvm
