// The structures end in a flexible array of an empty struct, which has another size in C++ than in
// C (cpuid_table.h): these are the C layouts.
#include "vmm/kvm/msr_table.h"

#include <algorithm>
#include <array>

#include "vmm/kvm/ioctl.h"

namespace shoal::kvm {
namespace {

constexpr std::size_t most = 1024;

struct IndexList {
    std::uint32_t count = most;
    std::array<std::uint32_t, most> indices;
};
struct IndexListHead {
    std::uint32_t count;
};
struct MsrList {
    std::uint32_t count = 0;
    std::uint32_t padding = 0;
    std::array<kvm_msr_entry, most> entries;
};
struct MsrListHead {
    std::uint32_t count;
    std::uint32_t padding;
};
constexpr unsigned long get_msr_index_list = _IOWR(KVMIO, 0x02, IndexListHead);
constexpr unsigned long get_msrs = _IOWR(KVMIO, 0x88, MsrListHead);
constexpr unsigned long set_msrs = _IOW(KVMIO, 0x89, MsrListHead);

}  // namespace

std::vector<std::uint32_t> saved_msrs(int kvm_fd) {
    IndexList list;
    // SAFETY: the head begins the list, whose room its count tells.
    call<get_msr_index_list>(kvm_fd, "KVM_GET_MSR_INDEX_LIST",
                             reinterpret_cast<IndexListHead*>(&list));
    return {list.indices.begin(), list.indices.begin() + list.count};
}

// KVM stops at the first that it cannot read: the rest is asked for without it.
std::vector<kvm_msr_entry> read_msrs(int vcpu_fd, std::span<const std::uint32_t> indices) {
    std::vector<kvm_msr_entry> result;
    while (!indices.empty()) {
        const auto piece = indices.first(std::min(indices.size(), most));
        MsrList list;
        for (const std::uint32_t index : piece) {
            list.entries[list.count++] = {index, 0, 0};
        }
        const int read = host::check_os(::ioctl(vcpu_fd, get_msrs, &list), "KVM_GET_MSRS");
        const auto count = static_cast<std::size_t>(read);
        result.insert(result.end(), list.entries.begin(), list.entries.begin() + read);
        indices = indices.subspan(count + (count < piece.size() ? 1 : 0));
    }
    return result;
}

std::size_t write_msrs(int vcpu_fd, std::span<const kvm_msr_entry> msrs) {
    const auto piece = msrs.first(std::min(msrs.size(), most));
    MsrList list;
    list.count = static_cast<std::uint32_t>(piece.size());
    std::ranges::copy(piece, list.entries.begin());
    return static_cast<std::size_t>(
        host::check_os(::ioctl(vcpu_fd, set_msrs, &list), "KVM_SET_MSRS"));
}

}  // namespace shoal::kvm
