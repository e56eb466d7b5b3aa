#include "vmm/kvm/vcpu_state.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "tests/unit/vmm/kvm/tiny_guest.h"
#include "vmm/kvm/cpu_features.h"

namespace shoal::kvm {
namespace {

TEST_CASE("a vCPU that was saved goes on in another machine") {
    const auto kvm = testing::open_kvm();
    if (!kvm) {
        return;
    }
    // mov $7, %al; out %al, $0x10; out %al, $0x11
    testing::TinyGuest guest{*kvm, {0xB0, 7, 0xE6, 0x10, 0xE6, 0x11}};
    Vcpu vcpu = guest.make_vcpu();
    const Exit first = vcpu.run();
    REQUIRE(std::get<PortAccess>(first).port == 0x10);
    vcpu.kick();  // completes the access
    REQUIRE(std::holds_alternative<Interrupted>(vcpu.run()));
    const VcpuState saved = vcpu.save();

    testing::TinyGuest other{*kvm, {0xB0, 7, 0xE6, 0x10, 0xE6, 0x11}};
    other.vm.set_clock(guest.vm.clock());
    Vcpu restored{other.vm, 0, 1};
    restored.restore(saved);
    const VcpuState again = restored.save();
    CHECK(std::memcmp(&again.registers, &saved.registers, sizeof saved.registers) == 0);
    CHECK(std::memcmp(&again.special_registers, &saved.special_registers,
                      sizeof saved.special_registers) == 0);
    CHECK(std::memcmp(&again.extended_control, &saved.extended_control,
                      sizeof saved.extended_control) == 0);
    CHECK(again.local_apic == saved.local_apic);
    CHECK(again.msrs.size() == saved.msrs.size());
    const Exit second = restored.run();
    REQUIRE(std::holds_alternative<PortAccess>(second));
    CHECK(std::get<PortAccess>(second).port == 0x11);
    CHECK(std::get<PortAccess>(second).data[0] == std::byte{7});
}

TEST_CASE("a lesser CPU is refused with the names of what it lacks") {
    std::vector<kvm_cpuid_entry2> wanted(3);
    wanted[0] = {0, 0, 0, 7, 0x756E'6547, 0x6C65'746E, 0x4965'6E69, {}};  // GenuineIntel
    wanted[1] = {1, 0, 0, 0, 0, 1U << 25 | 1U << 27 | 1U, 1U << 25, {}};
    wanted[2] = {7, 0, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, 0, 1U << 5 | 1U << 31, 0, 0, {}};
    auto offered = wanted;
    CHECK(cpu_refusal(wanted, offered).empty());
    offered[1].ecx = 1;  // OSXSAVE is the guest's own doing
    offered[2].ebx = 0;
    CHECK(cpu_refusal(wanted, offered) ==
          "this host's CPU lacks what the guest may use: aes avx2 avx512vl");
    CHECK(cpu_refusal(offered, wanted).empty());
    offered[0].ebx = 0x6874'7541;
    CHECK(cpu_refusal(wanted, offered).find("of GenuineIntel, the host's of Auth") !=
          std::string::npos);
}

}  // namespace
}  // namespace shoal::kvm
