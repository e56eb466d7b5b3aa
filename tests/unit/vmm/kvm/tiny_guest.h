// A machine with a few bytes of code in it, at CPL 3 in long mode, for tests of what runs a vCPU.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>

#include "devices/abi/address_map.h"
#include "devices/machine/guest_memory.h"
#include "firmware/gdt.h"
#include "firmware/page_tables.h"
#include "vmm/kvm/kvm.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"

namespace shoal::kvm::testing {

// /dev/kvm, or nothing where it cannot be opened: then the test says so and ends. In CI that is a
// failure, unless the nested suite runs it (scripts/test).
inline std::optional<Kvm> open_kvm() {
    try {
        return Kvm{};
    } catch (const std::exception& error) {
        const bool is_run_elsewhere = std::getenv("SHOAL_KVM_TESTS") != nullptr;
        REQUIRE_MESSAGE((is_run_elsewhere || std::getenv("CI") == nullptr), error.what());
        MESSAGE("skipped: " << std::string{error.what()});
        return std::nullopt;
    }
}

// Code at 1 MiB, entered in ring 0 and long mode with identity-mapped pages.
class TinyGuest {
public:
    TinyGuest(const Kvm& kvm, std::initializer_list<std::uint8_t> code) : memory{4 << 20}, vm{kvm} {
        firmware::write_page_tables(memory);
        firmware::write_gdt(memory);
        REQUIRE(memory.write_bytes(machine::Gpa{abi::kernel_start},
                                   std::as_bytes(std::span{code.begin(), code.size()})));
        vm.set_memory(memory);
        vm.create_local_apics();
    }

    Vcpu make_vcpu() {
        Vcpu vcpu{vm, 0, {}};
        kvm_sregs special = vcpu.special_registers();
        kvm_segment code{};
        code.limit = 0xFFFF'FFFF;
        code.selector = firmware::code_selector;
        code.type = 11;
        code.present = code.s = code.l = code.g = 1;
        kvm_segment data = code;
        data.selector = firmware::data_selector;
        data.type = 3;
        data.l = 0;
        data.db = 1;
        special.cs = code;
        special.ds = special.es = special.fs = special.gs = special.ss = data;
        special.gdt.base = abi::gdt_start;
        special.gdt.limit = firmware::gdt_limit;
        special.idt.limit = 0;
        special.cr0 = 0x8000'0011;
        special.cr3 = abi::page_tables;
        special.cr4 = 0x20;
        special.efer = 0x500;
        vcpu.set_special_registers(special);
        kvm_regs registers{};
        registers.rflags = 2;
        registers.rip = abi::kernel_start;
        registers.rsp = abi::boot_stack_top;
        vcpu.set_registers(registers);
        return vcpu;
    }

    machine::GuestMemory memory;
    Vm vm;
};

}  // namespace shoal::kvm::testing
