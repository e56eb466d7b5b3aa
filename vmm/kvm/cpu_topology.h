// CpuTopology: how a guest's vCPUs are arranged: one socket of cores with one thread or two each.
#pragma once

#include <linux/kvm.h>

#include <cstdint>

namespace shoal::kvm {

struct CpuTopology {
    std::uint32_t vcpu_count = 1;
    std::uint32_t threads_per_core = 1;  // 1 or 2; divides vcpu_count
};

// Makes an entry of the host's CPUID that of vCPU `idx`, which is also its APIC's id: the threads
// of a core are neighbours.
void adapt_cpuid(kvm_cpuid_entry2& entry, std::uint32_t idx, const CpuTopology& topology) noexcept;

}  // namespace shoal::kvm
