// Lists of model-specific registers, as KVM exchanges them.
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace shoal::kvm {

// Those that are a guest's state, by KVM_GET_MSR_INDEX_LIST. Throws std::system_error.
[[nodiscard]] std::vector<std::uint32_t> saved_msrs(int kvm_fd);

// The ones among `indices` that can be read on this vCPU.
[[nodiscard]] std::vector<kvm_msr_entry> read_msrs(int vcpu_fd,
                                                   std::span<const std::uint32_t> indices);

// How many KVM took, in their order, before one that it does not take.
[[nodiscard]] std::size_t write_msrs(int vcpu_fd, std::span<const kvm_msr_entry> msrs);

}  // namespace shoal::kvm
