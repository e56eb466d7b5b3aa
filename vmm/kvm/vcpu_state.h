// VcpuState and ClockState: all that KVM knows of a vCPU and of a machine's clock, to save and to
// restore.
#pragma once

#include <linux/kvm.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace shoal::kvm {

// Firmware and KVM give guests about a hundred; the list of all is no longer than this.
inline constexpr std::size_t max_msrs = 1024;

// What a guest believes its CPU to be, as CPUID tells it.
using CpuModel = std::vector<kvm_cpuid_entry2>;
inline constexpr std::size_t max_cpuid_entries = 256;

struct VcpuState {
    CpuModel cpuid;
    kvm_mp_state mp_state{};
    kvm_regs registers{};
    kvm_sregs special_registers{};
    std::vector<std::byte> xsave;  // as XSAVE lays it out (Intel SDM 1, 13.4)
    kvm_xcrs extended_control{};
    kvm_debugregs debug_registers{};
    std::array<std::byte, KVM_APIC_REG_SIZE> local_apic{};
    std::vector<kvm_msr_entry> msrs;  // in the order in which they are to be written
    kvm_vcpu_events events{};
    std::uint32_t tsc_khz = 0;
};

// kvmclock: what the guest's time was, and the host's wall clock at that moment.
struct ClockState {
    std::uint64_t guest_ns = 0;
    std::uint64_t realtime_ns = 0;  // 0: not known (of some snapshots of old), or of no interest
};

// The time-stamp counter goes on as if the vCPU had run for so long. A deadline that has passed by
// then is one when it is restored.
void advance_tsc(VcpuState& state, std::uint64_t ns) noexcept;

}  // namespace shoal::kvm
