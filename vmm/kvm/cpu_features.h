// What a guest may use of its CPU, and whether this host has it.
#pragma once

#include <linux/kvm.h>

#include <span>
#include <string>

namespace shoal::kvm {

// Empty, or the sentence that says why a guest with the CPUID `wanted` cannot run where KVM offers
// `offered`: another vendor, or the names of the features that are missing.
[[nodiscard]] std::string cpu_refusal(std::span<const kvm_cpuid_entry2> wanted,
                                      std::span<const kvm_cpuid_entry2> offered);

}  // namespace shoal::kvm
