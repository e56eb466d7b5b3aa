#include "vmm/kvm/vcpu_state.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "tests/unit/vmm/kvm/tiny_guest.h"
#include "vmm/kvm/cpu_features.h"

namespace shoal::kvm {
namespace {

// The kernel's structures have no hidden padding.
template <typename T>
bool same(const T& one, const T& other) {
    return std::memcmp(&one, &other, sizeof one) == 0;
}

std::optional<std::uint64_t> msr_of(const VcpuState& state, std::uint32_t index) {
    const auto found = std::ranges::find(state.msrs, index, &kvm_msr_entry::index);
    return found == state.msrs.end() ? std::nullopt : std::optional{found->data};
}

constexpr std::uint32_t indexed = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
constexpr std::uint32_t msr_lstar = 0xC000'0082;
constexpr std::uint32_t msr_kernel_gs_base = 0xC000'0102;

// As XSAVE lays it out (Intel SDM 1, 13.4): x87, SSE and the upper halves of AVX.
void fill_vectors(std::vector<std::byte>& xsave) {
    const auto put = [&](std::size_t at, std::size_t count, unsigned first) {
        for (std::size_t idx = 0; idx < count; ++idx) {
            xsave.at(at + idx) = static_cast<std::byte>(first + idx);
        }
    };
    const std::array<std::uint16_t, 3> x87{0x027F, 3 << 11, 0xFF};  // precision, top of stack, tags
    std::memcpy(xsave.data(), x87.data(), sizeof x87);
    const std::uint32_t mxcsr = 0x9FC0;  // flush to zero, denormals are zero
    std::memcpy(&xsave.at(24), &mxcsr, sizeof mxcsr);
    for (std::size_t idx = 0; idx < 8; ++idx) {
        put(32 + 16 * idx, 10, 0x11);
    }
    put(160, 256, 0x22);
    xsave.at(512) = std::byte{7};  // what is not in its initial state
    put(576, 256, 0x33);
}

// All that can be set from here, each in its own way.
VcpuState with_everything_set(VcpuState state) {
    auto& debug = state.debug_registers;
    std::ranges::copy(std::array{0x1111ULL, 0x2222ULL, 0x3333ULL, 0x4444ULL}, debug.db);
    debug.dr6 = 0xFFFF'0FF1;
    debug.dr7 = 0x455;
    fill_vectors(state.xsave);
    state.extended_control.xcrs[0].value |= 7;
    for (const auto& [index, value] : {std::pair{msr_lstar, 0x1234'5000ULL},
                                       std::pair{msr_kernel_gs_base, 0xFFFF'8000'0000'1000ULL}}) {
        const auto found = std::ranges::find(state.msrs, index, &kvm_msr_entry::index);
        REQUIRE(found != state.msrs.end());
        found->data = value;
    }
    state.events.nmi.pending = 1;
    state.events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING;
    return state;
}

// All but the clocks, which go on between two saves.
void check_same(const VcpuState& one, const VcpuState& other) {
    CHECK(std::ranges::equal(one.cpuid, other.cpuid, same<kvm_cpuid_entry2>));
    CHECK(same(one.mp_state, other.mp_state));
    CHECK(same(one.registers, other.registers));
    CHECK(same(one.special_registers, other.special_registers));
    CHECK(one.xsave == other.xsave);
    CHECK(same(one.extended_control, other.extended_control));
    CHECK(same(one.debug_registers, other.debug_registers));
    CHECK(one.local_apic == other.local_apic);
    CHECK(same(one.events, other.events));
    CHECK(one.tsc_khz == other.tsc_khz);
    REQUIRE(one.msrs.size() == other.msrs.size());
    // TSC, MPERF, APERF, its deadline; Hyper-V's run time and reference time, where KVM has them.
    constexpr std::array clocks{0x10U, 0xE7U, 0xE8U, 0x6E0U, 0x4000'0010U, 0x4000'0020U};
    for (std::size_t idx = 0; idx < one.msrs.size(); ++idx) {
        CAPTURE(one.msrs[idx].index);
        CHECK(one.msrs[idx].index == other.msrs[idx].index);
        CHECK((std::ranges::count(clocks, one.msrs[idx].index) != 0 ||
               one.msrs[idx].data == other.msrs[idx].data));
    }
}

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
    other.vm.set_clock(guest.vm.clock().guest_ns);
    Vcpu restored{other.vm, 0, {1}};
    restored.restore(saved);
    const VcpuState again = restored.save();
    check_same(again, saved);
    const Exit second = restored.run();
    REQUIRE(std::holds_alternative<PortAccess>(second));
    CHECK(std::get<PortAccess>(second).port == 0x11);
    CHECK(std::get<PortAccess>(second).data[0] == std::byte{7});
}

TEST_CASE("each register of a vCPU is saved and restored") {
    const auto kvm = testing::open_kvm();
    if (!kvm) {
        return;
    }
    testing::TinyGuest guest{*kvm, {}};
    const VcpuState wanted = with_everything_set(guest.make_vcpu().save());
    testing::TinyGuest first{*kvm, {}};
    Vcpu one{first.vm, 0, {1}};
    one.restore(wanted);
    const VcpuState saved = one.save();
    CHECK(same(saved.debug_registers, wanted.debug_registers));
    CHECK(saved.extended_control.xcrs[0].value == wanted.extended_control.xcrs[0].value);
    CHECK(saved.xsave == wanted.xsave);
    CHECK(saved.events.nmi.pending == 1);
    CHECK(msr_of(saved, msr_lstar) == 0x1234'5000);
    CHECK(msr_of(saved, msr_kernel_gs_base) == 0xFFFF'8000'0000'1000);
    testing::TinyGuest second{*kvm, {}};
    Vcpu other{second.vm, 0, {1}};
    other.restore(saved);
    check_same(other.save(), saved);
}

TEST_CASE("a time-stamp counter goes on by its frequency, and nothing else does") {
    constexpr std::uint32_t msr_tsc = 0x10;
    constexpr std::uint32_t msr_deadline = 0x6E0;
    VcpuState state;
    state.tsc_khz = 2'500'000;
    state.msrs = {{msr_tsc, 0, 1000}, {msr_deadline, 0, 2000}};
    const auto tsc_after = [&](std::uint64_t ns) {
        advance_tsc(state, ns);
        return msr_of(state, msr_tsc);
    };
    CHECK(tsc_after(0) == 1000);
    CHECK(tsc_after(2) == 1005);
    // A century: the product has more than 64 bits.
    CHECK(tsc_after(3'155'760'000'000'000'000) == 1005 + 7'889'400'000'000'000'000);
    CHECK(msr_of(state, msr_deadline) == 2000);
    state.msrs.clear();
    CHECK(tsc_after(1) == std::nullopt);
}

TEST_CASE("a CPU that lacks a feature is told by its name, not by the size of its registers") {
    const auto kvm = testing::open_kvm();
    if (!kvm) {
        return;
    }
    testing::TinyGuest guest{*kvm, {}};
    VcpuState saved = guest.make_vcpu().save();
    const std::size_t size = saved.xsave.size();
    const auto leaf = std::ranges::find(saved.cpuid, 0x4000'0001U, &kvm_cpuid_entry2::function);
    REQUIRE(leaf != saved.cpuid.end());
    testing::TinyGuest other{*kvm, {}};
    Vcpu vcpu{other.vm, 0, {1}};
    SUBCASE("a longer state, and a feature") {
        leaf->eax |= 1U << 30;
        saved.xsave.resize(size + 4096);
        CHECK_THROWS_WITH(vcpu.restore(saved), doctest::Contains("CPUID 0x40000001.0 bit 30"));
    }
    SUBCASE("a longer state alone") {
        saved.xsave.resize(size + 4096);
        CHECK_THROWS_WITH(vcpu.restore(saved), doctest::Contains("here they have"));
    }
    SUBCASE("a shorter state") {
        saved.xsave.resize(size - 64);
        CHECK_NOTHROW(vcpu.restore(saved));
    }
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
    wanted[1].ecx = offered[1].ecx | 1U << 5;  // VMX, of before it was taken from all guests
    CHECK(cpu_refusal(std::span{wanted}.first(2), std::span{offered}.first(2)).empty());
    offered[0].ebx = 0x6874'7541;
    CHECK(cpu_refusal(wanted, offered).find("of GenuineIntel, the host's of Auth") !=
          std::string::npos);
}

TEST_CASE("each leaf with features of CPUs and of KVM is compared") {
    struct Leaf {
        std::uint32_t function, index;
        std::uint32_t kvm_cpuid_entry2::*word;
        unsigned bit;
        const char* name;
    };
    using Entry = kvm_cpuid_entry2;
    const Entry vendor{0, 0, 0, 7, 0x756E'6547, 0x6C65'746E, 0x4965'6E69, {}};
    for (const Leaf& leaf :
         {Leaf{0x4000'0001, 0, &Entry::eax, 11, "kvm_pv_ipi"},
          Leaf{0x4000'0001, 0, &Entry::eax, 24, "kvmclock_stable"},
          Leaf{0x8000'0007, 0, &Entry::edx, 8, "constant_tsc"},
          Leaf{0x8000'0008, 0, &Entry::ebx, 9, "wbnoinvd"},
          Leaf{0x8000'0021, 0, &Entry::eax, 8, "autoibrs"},
          Leaf{0x8000'0021, 0, &Entry::ecx, 1, "tsa_sq_no"}, Leaf{7, 1, &Entry::eax, 26, "lam"},
          Leaf{7, 1, &Entry::edx, 4, "avx_vnni_int8"}, Leaf{7, 2, &Entry::edx, 2, "rrsba_ctrl"},
          Leaf{0xD, 0, &Entry::eax, 18, "amx_tiledata"},
          Leaf{0xD, 0, &Entry::edx, 30, "CPUID 0xd.0 bit 30"},
          Leaf{0xD, 1, &Entry::eax, 3, "xsaves"}, Leaf{0xD, 1, &Entry::ecx, 11, "cet_user"}}) {
        CAPTURE(leaf.name);
        std::vector<Entry> wanted{vendor, {leaf.function, leaf.index, indexed, 0, 0, 0, 0, {}}};
        auto offered = wanted;
        wanted[1].*leaf.word = 1U << leaf.bit;
        CHECK(cpu_refusal(wanted, offered) ==
              std::string{"this host's CPU lacks what the guest may use: "} + leaf.name);
        CHECK(cpu_refusal(offered, wanted).empty());
    }
}

TEST_CASE("a CPU that keeps registers at another place is refused with their name") {
    std::vector<kvm_cpuid_entry2> wanted(3);
    wanted[0] = {0, 0, 0, 7, 0x6874'7541, 0x444D'4163, 0x6974'6E65, {}};
    wanted[1] = {0xD, 0, indexed, 1U << 9 | 3U, 0, 0, 0, {}};
    wanted[2] = {0xD, 9, indexed, 8, 2432, 0, 0, {}};
    auto offered = wanted;
    CHECK(cpu_refusal(wanted, offered).empty());
    offered[2].ebx = 832;
    CHECK(cpu_refusal(wanted, offered) ==
          "this host's CPU keeps registers at another place: pkru_state");
    offered.pop_back();
    CHECK(cpu_refusal(wanted, offered).find("pkru_state") != std::string::npos);
}

}  // namespace
}  // namespace shoal::kvm
