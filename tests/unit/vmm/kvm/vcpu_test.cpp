// Exits of a real vCPU, decoded.
#include "vmm/kvm/vcpu.h"

#include <doctest/doctest.h>

#include "tests/unit/vmm/kvm/tiny_guest.h"

namespace shoal::kvm {
namespace {

using testing::open_kvm;
using testing::TinyGuest;

TEST_CASE("a port access is decoded with its direction, port and value") {
    const auto kvm = open_kvm();
    if (!kvm) {
        return;
    }
    // mov al, 0x41; out 0x80, al; in al, 0x81; out 0x82, al
    TinyGuest guest{*kvm, {0xB0, 0x41, 0xE6, 0x80, 0xE4, 0x81, 0xE6, 0x82}};
    Vcpu vcpu = guest.make_vcpu();
    const Exit first = vcpu.run();
    const auto* out = std::get_if<PortAccess>(&first);
    REQUIRE(out != nullptr);
    CHECK(out->direction == PortAccess::Direction::out);
    CHECK(out->port == 0x80);
    REQUIRE(out->data.size() == 1);
    CHECK(out->data[0] == std::byte{0x41});
    const Exit second = vcpu.run();
    const auto* in = std::get_if<PortAccess>(&second);
    REQUIRE(in != nullptr);
    CHECK(in->direction == PortAccess::Direction::in);
    in->data[0] = std::byte{0x7E};
    const Exit third = vcpu.run();
    const auto* echo = std::get_if<PortAccess>(&third);
    REQUIRE(echo != nullptr);
    CHECK(echo->port == 0x82);
    CHECK(echo->data[0] == std::byte{0x7E});
}

TEST_CASE("a memory-mapped access is decoded, and a read returns what we put there") {
    const auto kvm = open_kvm();
    if (!kvm) {
        return;
    }
    // mov eax, [0xC0000000]; mov [0xC0000008], eax (absolute addresses by SIB without base)
    TinyGuest guest{*kvm, {0xBB, 0x00, 0x00, 0x00, 0xC0, 0x8B, 0x03, 0x89, 0x43, 0x08}};
    Vcpu vcpu = guest.make_vcpu();
    const Exit first = vcpu.run();
    const auto* read = std::get_if<MmioAccess>(&first);
    REQUIRE(read != nullptr);
    CHECK(read->direction == MmioAccess::Direction::read);
    CHECK(read->address == 0xC000'0000);
    REQUIRE(read->data.size() == 4);
    std::ranges::fill(read->data, std::byte{0x11});
    const Exit second = vcpu.run();
    const auto* write = std::get_if<MmioAccess>(&second);
    REQUIRE(write != nullptr);
    CHECK(write->direction == MmioAccess::Direction::write);
    CHECK(write->address == 0xC000'0008);
    CHECK(write->data[3] == std::byte{0x11});
}

TEST_CASE("a triple fault is a shutdown, with RIP at the instruction that faulted") {
    const auto kvm = open_kvm();
    if (!kvm) {
        return;
    }
    TinyGuest guest{*kvm, {0x0F, 0x0B}};  // ud2 without an IDT
    Vcpu vcpu = guest.make_vcpu();
    CHECK(std::holds_alternative<Shutdown>(vcpu.run()));
    // kvm_amd has reset the vCPU.
    const std::uint64_t rip = vcpu.registers().rip;
    CHECK((rip == abi::kernel_start || rip == 0xFFF0));
}

TEST_CASE("a kick makes the next run return at once, until it is cleared") {
    const auto kvm = open_kvm();
    if (!kvm) {
        return;
    }
    TinyGuest guest{*kvm, {0xE6, 0x80}};
    Vcpu vcpu = guest.make_vcpu();
    vcpu.kick();
    CHECK(std::holds_alternative<Interrupted>(vcpu.run()));
    CHECK(std::holds_alternative<Interrupted>(vcpu.run()));
    vcpu.clear_kick();
    CHECK(std::holds_alternative<PortAccess>(vcpu.run()));
}

TEST_CASE("a KVM that is not there is one sentence") {
    CHECK_THROWS_WITH_AS(Kvm{"/dev/no-kvm"}, "/dev/no-kvm is missing: this host offers no KVM",
                         std::runtime_error);
}

}  // namespace
}  // namespace shoal::kvm
