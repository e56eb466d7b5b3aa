// CpuidTable: what KVM_GET_SUPPORTED_CPUID and KVM_SET_CPUID2 exchange: a head and its entries.
//
// struct kvm_cpuid2 of the kernel's header ends in a flexible array that is declared with an empty
// struct, which takes up space in C++ but not in C: its size, and so the request numbers made from
// it, are wrong here. This is the C layout.
#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace shoal::kvm {

struct CpuidHead {
    std::uint32_t entry_count;
    std::uint32_t padding;
};
static_assert(sizeof(CpuidHead) == 8);

inline constexpr unsigned long get_supported_cpuid = _IOWR(KVMIO, 0x05, CpuidHead);
inline constexpr unsigned long set_cpuid2 = _IOW(KVMIO, 0x90, CpuidHead);

class CpuidTable {
public:
    explicit CpuidTable(std::uint32_t capacity)
        : words_(1 + (capacity * sizeof(kvm_cpuid_entry2) + 7) / 8) {
        head()->entry_count = capacity;
    }

    // SAFETY: the vector is large enough for head and entries, and aligned for both.
    [[nodiscard]] CpuidHead* head() noexcept { return reinterpret_cast<CpuidHead*>(words_.data()); }
    [[nodiscard]] std::span<kvm_cpuid_entry2> entries() noexcept {
        return {reinterpret_cast<kvm_cpuid_entry2*>(words_.data() + 1), head()->entry_count};
    }

private:
    std::vector<std::uint64_t> words_;
};

}  // namespace shoal::kvm
