// The fields of a vCPU's state and of the kernel's structures in it (fields.h).
#pragma once

#include <tuple>

#include "vmm/kvm/vcpu_state.h"
#include "vmm/state/fields.h"

namespace shoal::state {

template <>
struct Fields<kvm_cpuid_entry2> {
    using T = kvm_cpuid_entry2;
    static constexpr std::tuple list{&T::function, &T::index, &T::flags, &T::eax,
                                     &T::ebx,      &T::ecx,   &T::edx,   &T::padding};
};
template <>
struct Fields<kvm_mp_state> {
    static constexpr std::tuple list{&kvm_mp_state::mp_state};
};
template <>
struct Fields<kvm_regs> {
    using T = kvm_regs;
    static constexpr std::tuple list{&T::rax, &T::rbx, &T::rcx, &T::rdx, &T::rsi, &T::rdi,
                                     &T::rsp, &T::rbp, &T::r8,  &T::r9,  &T::r10, &T::r11,
                                     &T::r12, &T::r13, &T::r14, &T::r15, &T::rip, &T::rflags};
};
template <>
struct Fields<kvm_segment> {
    using T = kvm_segment;
    static constexpr std::tuple list{&T::base, &T::limit,    &T::selector, &T::type, &T::present,
                                     &T::dpl,  &T::db,       &T::s,        &T::l,    &T::g,
                                     &T::avl,  &T::unusable, &T::padding};
};
template <>
struct Fields<kvm_dtable> {
    using T = kvm_dtable;
    static constexpr std::tuple list{&T::base, &T::limit, &T::padding};
};
template <>
struct Fields<kvm_sregs> {
    using T = kvm_sregs;
    static constexpr std::tuple list{
        &T::cs,  &T::ds,  &T::es,  &T::fs,   &T::gs,        &T::ss,
        &T::tr,  &T::ldt, &T::gdt, &T::idt,  &T::cr0,       &T::cr2,
        &T::cr3, &T::cr4, &T::cr8, &T::efer, &T::apic_base, &T::interrupt_bitmap};
};
template <>
struct Fields<kvm_xcr> {
    using T = kvm_xcr;
    static constexpr std::tuple list{&T::xcr, &T::reserved, &T::value};
};
template <>
struct Fields<kvm_xcrs> {
    using T = kvm_xcrs;
    static constexpr std::tuple list{&T::nr_xcrs, &T::flags, &T::xcrs, &T::padding};
};
template <>
struct Fields<kvm_debugregs> {
    using T = kvm_debugregs;
    static constexpr std::tuple list{&T::db, &T::dr6, &T::dr7, &T::flags, &T::reserved};
};
template <>
struct Fields<kvm_msr_entry> {
    using T = kvm_msr_entry;
    static constexpr std::tuple list{&T::index, &T::reserved, &T::data};
};

template <>
struct Fields<decltype(kvm_vcpu_events::exception)> {
    using T = decltype(kvm_vcpu_events::exception);
    static constexpr std::tuple list{&T::injected, &T::nr, &T::has_error_code, &T::pending,
                                     &T::error_code};
};
template <>
struct Fields<decltype(kvm_vcpu_events::interrupt)> {
    using T = decltype(kvm_vcpu_events::interrupt);
    static constexpr std::tuple list{&T::injected, &T::nr, &T::soft, &T::shadow};
};
template <>
struct Fields<decltype(kvm_vcpu_events::nmi)> {
    using T = decltype(kvm_vcpu_events::nmi);
    static constexpr std::tuple list{&T::injected, &T::pending, &T::masked, &T::pad};
};
template <>
struct Fields<decltype(kvm_vcpu_events::smi)> {
    using T = decltype(kvm_vcpu_events::smi);
    static constexpr std::tuple list{&T::smm, &T::pending, &T::smm_inside_nmi, &T::latched_init};
};
template <>
struct Fields<decltype(kvm_vcpu_events::triple_fault)> {
    using T = decltype(kvm_vcpu_events::triple_fault);
    static constexpr std::tuple list{&T::pending};
};
template <>
struct Fields<kvm_vcpu_events> {
    using T = kvm_vcpu_events;
    static constexpr std::tuple list{&T::exception,        &T::interrupt, &T::nmi,
                                     &T::sipi_vector,      &T::flags,     &T::smi,
                                     &T::triple_fault,     &T::reserved,  &T::exception_has_payload,
                                     &T::exception_payload};
};

template <>
struct Fields<kvm::VcpuState> {
    using T = kvm::VcpuState;
    static constexpr std::tuple list{
        &T::cpuid, &T::mp_state,         &T::registers,       &T::special_registers,
        &T::xsave, &T::extended_control, &T::debug_registers, &T::local_apic,
        &T::msrs,  &T::events,           &T::tsc_khz};
};
template <>
struct Fields<kvm::ClockState> {
    using T = kvm::ClockState;
    static constexpr std::tuple list{&T::guest_ns, &T::realtime_ns};
};

}  // namespace shoal::state
