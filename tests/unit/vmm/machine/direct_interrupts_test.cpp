// Interrupts that KVM makes of an event, on a real local APIC.
#include "vmm/machine/direct_interrupts.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <array>
#include <chrono>
#include <cstring>
#include <utility>

#include "tests/unit/vmm/kvm/tiny_guest.h"

namespace shoal::vmm {
namespace {

constexpr std::uint32_t pin = 5;
constexpr std::uint32_t masked = 1U << 16;
constexpr std::size_t spurious_register = 0xF0;
constexpr std::size_t request_registers = 0x200;

struct Fixture {
    explicit Fixture(const kvm::Kvm& kvm) : guest{kvm, {}}, vcpu{guest.make_vcpu()} {
        kvm::VcpuState state = vcpu.save();
        state.local_apic[spurious_register + 1] = std::byte{1};  // switches it on
        vcpu.restore(state);
        direct.add(event, pin);
    }
    void route(std::uint32_t low, std::uint32_t high = 0, std::uint32_t line = pin) {
        for (const auto& [number, value] :
             {std::pair{0x10 + 2 * line + 1, high}, std::pair{0x10 + 2 * line, low}}) {
            ioapic.write(0x00, std::as_bytes(std::span{&number, 1}));
            ioapic.write(0x10, std::as_bytes(std::span{&value, 1}));
        }
    }
    [[nodiscard]] bool is_pending(std::uint32_t vector) const {
        const auto apic = vcpu.save().local_apic;
        const std::byte bits = apic[request_registers + vector / 32 * 16 + vector % 32 / 8];
        return (bits >> vector % 8 & std::byte{1}) != std::byte{0};
    }
    // What is not sent at once may come from a thread of the kernel's.
    [[nodiscard]] bool comes(std::uint32_t vector) const {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
        while (!is_pending(vector)) {
            if (std::chrono::steady_clock::now() > deadline) {
                return false;
            }
            ::poll(nullptr, 0, 1);
        }
        return true;
    }

    legacy::IoApic ioapic{[](legacy::Message) { FAIL("went through this process"); }};
    host::EventFd event;
    kvm::testing::TinyGuest guest;
    kvm::Vcpu vcpu;
    DirectInterrupts direct{ioapic, guest.vm};
};

}  // namespace

TEST_CASE("an event is the interrupt that the I/O APIC names for its line, and not while masked") {
    const auto kvm = kvm::testing::open_kvm();
    if (!kvm) {
        return;
    }
    Fixture f{*kvm};
    f.event.signal();  // masked, as all lines at first
    f.route(0x41);
    f.event.signal();
    CHECK(f.comes(0x41));
    SUBCASE("another vector from then on") {
        f.route(0x8052);  // level-triggered, which is an edge here
        f.event.signal();
        CHECK(f.comes(0x52));
        f.route(0x63);
        f.event.signal();
        CHECK(f.comes(0x63));
    }
    SUBCASE("none while it is masked, and not later") {
        f.route(masked | 0x52);
        f.event.signal();
        f.route(0x63);
        f.event.signal();
        CHECK(f.comes(0x63));
        CHECK_FALSE(f.is_pending(0x52));
    }
    SUBCASE("none for a CPU that does not exist") {
        f.route(0x52, 0x0700'0000);
        f.event.signal();
        f.route(0x63);
        f.event.signal();
        CHECK(f.comes(0x63));
        CHECK_FALSE(f.is_pending(0x52));
    }
    SUBCASE("as a saved state says") {
        f.route(0x52);
        const legacy::IoApicState state = f.ioapic.save();
        f.route(0x63);
        f.ioapic.restore(state);
        f.event.signal();
        CHECK(f.comes(0x52));
        CHECK_FALSE(f.is_pending(0x63));
    }
}

TEST_CASE("an event that was signalled before it was given is an interrupt at once") {
    const auto kvm = kvm::testing::open_kvm();
    if (!kvm) {
        return;
    }
    Fixture f{*kvm};
    f.route(0x55, 0, pin + 1);
    const host::EventFd early;
    early.signal();
    f.direct.add(early, pin + 1);
    CHECK(f.comes(0x55));
}

}  // namespace shoal::vmm
