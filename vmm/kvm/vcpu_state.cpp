// Saving and restoring a vCPU. The order of restoring is that of what depends on what: CPUID
// says which registers there are, CR4 and XCR0 what XSAVE holds, the local
// APIC's mode what its timer's MSR means, and events come last because the registers before them
// may cancel some.
#include "vmm/kvm/vcpu_state.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>

#include "vmm/kvm/cpu_features.h"
#include "vmm/kvm/cpuid_table.h"
#include "vmm/kvm/emulated_cpu.h"
#include "vmm/kvm/ioctl.h"
#include "vmm/kvm/msr_table.h"
#include "vmm/kvm/vcpu.h"

namespace shoal::kvm {
namespace {

constexpr std::uint32_t msr_tsc = 0x10;
constexpr std::uint32_t msr_tsc_deadline = 0x6E0;
// KVM_GET_XSAVE's structure ends in a flexible array, which has a size in C++: this is the C size.
struct LegacyXsave {
    std::array<std::byte, 4096> bytes;
};
constexpr unsigned long get_xsave2 = _IOR(KVMIO, 0xCF, LegacyXsave);
constexpr unsigned long set_xsave = _IOW(KVMIO, 0xA5, LegacyXsave);

CpuModel read_cpuid(int fd) {
    constexpr unsigned long get_cpuid2 = _IOWR(KVMIO, 0x91, CpuidHead);
    CpuidTable table{std::uint32_t{max_cpuid_entries}};
    call<get_cpuid2>(fd, "KVM_GET_CPUID2", table.head());
    const auto entries = table.entries();
    return {entries.begin(), entries.end()};
}

// Whether the vCPU has it already. Throws when it cannot have it. What a vCPU has here is what KVM
// made of the CPUID it was given: a backend that lets the guest's instruction run on the CPU shows
// more than KVM_GET_SUPPORTED_CPUID says.
bool has_cpuid(int fd, const CpuModel& saved) {
    const CpuModel here = read_cpuid(fd);
    const auto same = [](const kvm_cpuid_entry2& one, const kvm_cpuid_entry2& other) {
        return std::memcmp(&one, &other, sizeof one) == 0;
    };
    if (std::ranges::equal(saved, here, same)) {
        return true;
    }
    if (const std::string refusal = cpu_refusal(saved, here); !refusal.empty()) {
        throw std::runtime_error(refusal);
    }
    return false;
}

void adopt_cpuid(int fd, const CpuModel& saved) {
    if (has_cpuid(fd, saved)) {
        return;
    }
    CpuidTable table{static_cast<std::uint32_t>(saved.size())};
    std::ranges::copy(saved, table.entries().begin());
    call<set_cpuid2>(fd, "KVM_SET_CPUID2", table.head());
}

// What `msrs` says of `index`.
kvm_msr_entry* find(std::vector<kvm_msr_entry>& msrs, std::uint32_t index) {
    const auto found = std::ranges::find(msrs, index, &kvm_msr_entry::index);
    return found == msrs.end() ? nullptr : &*found;
}

// The timer's deadline counts in the time-stamp counter, so it is written last. It reads as 0 when
// the timer has fired, also when its interrupt has not come to the guest yet; a deadline of now
// gives the interrupt again, and to a guest that did not wait for it one too many, which is
// allowed.
void order_deadline(std::vector<kvm_msr_entry>& msrs) {
    std::stable_partition(msrs.begin(), msrs.end(),
                          [](const kvm_msr_entry& msr) { return msr.index != msr_tsc_deadline; });
    kvm_msr_entry* const deadline = find(msrs, msr_tsc_deadline);
    const kvm_msr_entry* const now = find(msrs, msr_tsc);
    if (deadline != nullptr && now != nullptr && deadline->data == 0) {
        deadline->data = now->data;
    }
}

// A loaded TSS is busy, and so KVM tells it. TCG keeps the type that the descriptor had before LTR,
// and looks into the I/O permission bitmap only of a TSS that is available: with the busy one, each
// port access of ring 3 is a general protection fault (QEMU, helper_check_io).
kvm_sregs with_usable_task_register(kvm_sregs registers) {
    constexpr std::uint8_t busy = 2;
    if (is_emulated_cpu()) {
        registers.tr.type &= static_cast<std::uint8_t>(~busy);
    }
    return registers;
}

// KVM writes as many bytes as KVM_CAP_XSAVE2 tells, whatever the request's number says.
// SAFETY of the two: a vector's bytes are aligned as malloc aligns, which is enough for KVM.
void read_xsave(int fd, std::vector<std::byte>& bytes) {
    call<get_xsave2>(fd, "KVM_GET_XSAVE2", reinterpret_cast<LegacyXsave*>(bytes.data()));
}

void write_xsave(int fd, std::vector<std::byte> bytes) {
    call<set_xsave>(fd, "KVM_SET_XSAVE", reinterpret_cast<LegacyXsave*>(bytes.data()));
}

// An MSR that cannot be written is one that the guest cannot have changed either, so long as it
// reads here as it did there.
void write_all(int fd, std::span<const kvm_msr_entry> msrs) {
    while (true) {
        msrs = msrs.subspan(write_msrs(fd, msrs));
        if (msrs.empty()) {
            return;
        }
        const kvm_msr_entry& refused = msrs.front();
        const auto here = read_msrs(fd, std::span{&refused.index, 1});
        if (here.empty() || here.front().data != refused.data) {
            std::array<char, 32> name;
            std::snprintf(name.data(), name.size(), "0x%x", refused.index);
            throw std::runtime_error("this KVM does not take the saved value of MSR " +
                                     std::string{name.data()});
        }
        msrs = msrs.subspan(1);
    }
}

}  // namespace

void advance_tsc(VcpuState& state, std::uint64_t ns) noexcept {
    if (kvm_msr_entry* const tsc = find(state.msrs, msr_tsc); tsc != nullptr) {
        __extension__ using Wide = unsigned __int128;
        tsc->data += static_cast<std::uint64_t>(Wide{ns} * state.tsc_khz / 1'000'000);
    }
}

CpuModel Vcpu::cpu_model() const {
    return read_cpuid(fd_.get());
}

void Vcpu::expect_model(const CpuModel& model) const {
    static_cast<void>(has_cpuid(fd_.get(), model));
}

VcpuState Vcpu::save() const {
    VcpuState state;
    const int fd = fd_.get();
    state.cpuid = read_cpuid(fd);
    SHOAL_KVM_CALL(fd, KVM_GET_MP_STATE, &state.mp_state);
    state.registers = registers();
    state.special_registers = special_registers();
    state.xsave.resize(xsave_bytes_);
    read_xsave(fd, state.xsave);
    SHOAL_KVM_CALL(fd, KVM_GET_XCRS, &state.extended_control);
    SHOAL_KVM_CALL(fd, KVM_GET_DEBUGREGS, &state.debug_registers);
    kvm_lapic_state apic{};
    SHOAL_KVM_CALL(fd, KVM_GET_LAPIC, &apic);
    std::memcpy(state.local_apic.data(), apic.regs, sizeof apic.regs);
    state.msrs = read_msrs(fd, saved_msrs(kvm_->fd()));
    order_deadline(state.msrs);
    SHOAL_KVM_CALL(fd, KVM_GET_VCPU_EVENTS, &state.events);
    state.tsc_khz = static_cast<std::uint32_t>(SHOAL_KVM_CALL(fd, KVM_GET_TSC_KHZ));
    return state;
}

void Vcpu::restore(VcpuState state) {
    adopt_cpuid(fd_.get(), state.cpuid);  // the names of what is missing say more than a size
    if (state.xsave.size() > xsave_bytes_) {
        throw std::runtime_error("the saved extended registers have " +
                                 std::to_string(state.xsave.size()) + " bytes, here they have " +
                                 std::to_string(xsave_bytes_));
    }
    state.xsave.resize(xsave_bytes_);  // a greater CPU's: what is more is in its initial state
    const int fd = fd_.get();
    if (SHOAL_KVM_CALL(fd, KVM_GET_TSC_KHZ) != static_cast<int>(state.tsc_khz)) {
        SHOAL_KVM_CALL(fd, KVM_SET_TSC_KHZ, state.tsc_khz);
    }
    SHOAL_KVM_CALL(fd, KVM_SET_MP_STATE, &state.mp_state);
    set_registers(state.registers);
    set_special_registers(with_usable_task_register(state.special_registers));
    SHOAL_KVM_CALL(fd, KVM_SET_XCRS, &state.extended_control);
    write_xsave(fd, state.xsave);
    SHOAL_KVM_CALL(fd, KVM_SET_DEBUGREGS, &state.debug_registers);
    kvm_lapic_state apic{};
    std::memcpy(apic.regs, state.local_apic.data(), sizeof apic.regs);
    SHOAL_KVM_CALL(fd, KVM_SET_LAPIC, &apic);
    write_all(fd, state.msrs);
    SHOAL_KVM_CALL(fd, KVM_SET_VCPU_EVENTS, &state.events);
}

}  // namespace shoal::kvm
