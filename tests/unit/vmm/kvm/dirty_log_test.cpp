#include "vmm/kvm/dirty_log.h"

#include <doctest/doctest.h>

#include <vector>

#include "tests/unit/vmm/kvm/tiny_guest.h"

namespace shoal::kvm {
namespace {

using testing::open_kvm;
using testing::TinyGuest;

constexpr std::uint64_t target = 0x20'0000;

// Writes to `target` and says so at a port, again and again:
// mov ebx, 0x200000; again: inc byte [rbx]; out 0x80, al; jmp again
constexpr std::initializer_list<std::uint8_t> writer = {0xBB, 0x00, 0x00, 0x20, 0x00, 0xFE,
                                                        0x03, 0xE6, 0x80, 0xEB, 0xFA};

void run_to_port(Vcpu& vcpu) {
    const Exit exit = vcpu.run();
    REQUIRE(std::holds_alternative<PortAccess>(exit));
}

// Of the tiny guest's memory.
std::vector<std::uint64_t> empty_bitmap() {
    return std::vector<std::uint64_t>((4 << 20) / abi::page_size / 64);
}

// Asks the log.
bool is_dirty(DirtyLog& log, std::uint64_t address) {
    auto bitmap = empty_bitmap();
    log.take(bitmap);
    const std::uint64_t page = address / abi::page_size;
    return (bitmap.at(page / 64) >> page % 64 & 1) != 0;
}

TEST_CASE("the dirty log names a page each time that the guest has written to it again") {
    const auto kvm = open_kvm();
    if (!kvm) {
        return;
    }
    TinyGuest guest{*kvm, writer};
    Vcpu vcpu = guest.make_vcpu();
    run_to_port(vcpu);
    DirtyLog log{guest.vm, guest.memory};
    CHECK_FALSE(is_dirty(log, target));
    for (int round = 0; round < 3; ++round) {
        CAPTURE(round);
        run_to_port(vcpu);
        CHECK(is_dirty(log, target));
        CHECK_FALSE(is_dirty(log, target));
    }
    run_to_port(vcpu);
    CHECK_FALSE(is_dirty(log, target + abi::page_size));
}

TEST_CASE("the dirty log adds to what the bitmap has") {
    const auto kvm = open_kvm();
    if (!kvm) {
        return;
    }
    TinyGuest guest{*kvm, writer};
    Vcpu vcpu = guest.make_vcpu();
    DirtyLog log{guest.vm, guest.memory};
    run_to_port(vcpu);
    auto bitmap = empty_bitmap();
    constexpr std::uint64_t page = target / abi::page_size;
    bitmap.at(page / 64) = std::uint64_t{1} << 63;
    log.take(bitmap);
    CHECK(bitmap.at(page / 64) == (std::uint64_t{1} << 63 | std::uint64_t{1} << page % 64));
}

TEST_CASE("a guest runs on after the dirty log has ended, and can be logged again") {
    const auto kvm = open_kvm();
    if (!kvm) {
        return;
    }
    TinyGuest guest{*kvm, writer};
    Vcpu vcpu = guest.make_vcpu();
    {
        DirtyLog log{guest.vm, guest.memory};
        run_to_port(vcpu);
    }
    run_to_port(vcpu);
    DirtyLog log{guest.vm, guest.memory};
    CHECK_FALSE(is_dirty(log, target));
    run_to_port(vcpu);
    CHECK(is_dirty(log, target));
}

}  // namespace
}  // namespace shoal::kvm
