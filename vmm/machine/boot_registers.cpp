// Boot registers: PVH (Xen's x86/HVM direct boot ABI) wants flat 32-bit protected mode, Linux's
// 64-bit protocol (boot.rst, "64-bit boot protocol") long mode with identity-mapped pages.
#include "vmm/machine/boot_registers.h"

#include "devices/abi/address_map.h"
#include "firmware/gdt.h"

namespace shoal::vmm {
namespace {

constexpr std::uint64_t cr0_protected = 0x1;
constexpr std::uint64_t cr0_extension_type = 0x10;
constexpr std::uint64_t cr0_paging = 0x8000'0000;
constexpr std::uint64_t cr4_physical_address_extension = 0x20;
constexpr std::uint64_t efer_long_mode = 0x500;  // enabled and active
constexpr std::uint64_t efer_no_execute = 0x800;
constexpr std::uint64_t rflags_reserved = 0x2;

enum class CodeSize { bits32, bits64 };

kvm_segment code_segment(CodeSize size) {
    kvm_segment segment{};
    segment.limit = 0xFFFF'FFFF;
    segment.selector = firmware::code_selector;
    segment.type = 11;  // execute, read, accessed
    segment.present = 1;
    segment.s = 1;
    segment.g = 1;
    segment.l = size == CodeSize::bits64 ? 1 : 0;
    segment.db = size == CodeSize::bits64 ? 0 : 1;
    return segment;
}

kvm_segment data_segment() {
    kvm_segment segment{};
    segment.limit = 0xFFFF'FFFF;
    segment.selector = firmware::data_selector;
    segment.type = 3;  // read, write, accessed
    segment.present = 1;
    segment.s = 1;
    segment.g = 1;
    segment.db = 1;
    return segment;
}

kvm_segment task_segment() {
    kvm_segment segment{};
    segment.limit = 0x67;
    segment.type = 11;  // busy task state
    segment.present = 1;
    return segment;
}

}  // namespace

// Without them Linux uses neither the page attribute table nor, on Intel, fast string instructions.
void set_boot_msrs(kvm::Vcpu& vcpu) {
    constexpr std::uint32_t misc_enable = 0x1A0;
    constexpr std::uint64_t fast_strings = 1;
    constexpr std::uint32_t mtrr_default_type = 0x2FF;
    constexpr std::uint64_t mtrr_enabled = 1U << 11;
    constexpr std::uint64_t write_back = 6;
    vcpu.set_msr(misc_enable, fast_strings);
    vcpu.set_msr(mtrr_default_type, mtrr_enabled | write_back);
}

namespace {

// Flat segments, in which the code's and the stack's are of this size.
kvm_sregs flat_registers(const kvm::Vcpu& vcpu, CodeSize size) {
    kvm_sregs special = vcpu.special_registers();
    special.cs = code_segment(size);
    special.ds = special.es = special.fs = special.gs = special.ss = data_segment();
    special.tr = task_segment();
    special.gdt.base = special.gdt.limit = 0;
    special.idt.base = special.idt.limit = 0;
    special.cr0 = cr0_protected | cr0_extension_type;
    special.cr4 = 0;
    special.efer = 0;
    return special;
}

void enter_long_mode(kvm_sregs& special, machine::Gpa page_tables) {
    special.cr0 |= cr0_paging;
    special.cr3 = page_tables.value();
    special.cr4 = cr4_physical_address_extension;
    special.efer = efer_long_mode;
}

}  // namespace

void set_boot_registers(kvm::Vcpu& vcpu, const boot::EntryPoint& entry) {
    const bool is_linux = entry.protocol == boot::Protocol::linux64;
    kvm_sregs special = flat_registers(vcpu, is_linux ? CodeSize::bits64 : CodeSize::bits32);
    kvm_regs registers{};
    registers.rflags = rflags_reserved;
    registers.rip = entry.entry.value();
    if (is_linux) {
        special.gdt.base = abi::gdt_start;
        special.gdt.limit = firmware::gdt_limit;
        enter_long_mode(special, machine::Gpa{abi::page_tables});
        registers.rsi = entry.boot_info.value();
        registers.rsp = registers.rbp = abi::boot_stack_top;
    } else {
        registers.rbx = entry.boot_info.value();
    }
    vcpu.set_special_registers(special);
    vcpu.set_registers(registers);
}

void set_other_registers(kvm::Vcpu& vcpu, const boot::OtherCpus& cpus, std::uint32_t idx) {
    kvm_sregs special = flat_registers(vcpu, CodeSize::bits64);
    enter_long_mode(special, cpus.page_tables);
    special.efer |= efer_no_execute;
    kvm_regs registers{};
    registers.rflags = rflags_reserved;
    registers.rip = cpus.entry;
    registers.rdi = idx;
    vcpu.set_special_registers(special);
    vcpu.set_registers(registers);
    vcpu.make_runnable();
}

}  // namespace shoal::vmm
