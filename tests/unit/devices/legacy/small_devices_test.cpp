// The devices of a register or two: exit device, boot timer, ready.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "devices/legacy/boot_timer.h"
#include "devices/legacy/exit_device.h"
#include "devices/legacy/power.h"
#include "devices/legacy/ready.h"

namespace shoal::legacy {
namespace {

template <typename... Bytes>
std::array<std::byte, sizeof...(Bytes)> bytes(Bytes... values) {
    return {std::byte{static_cast<unsigned char>(values)}...};
}

void check_reads_zero(machine::BusDevice& device, std::uint64_t offset) {
    auto data = bytes(0xAA, 0xAA, 0xAA, 0xAA);
    device.read(offset, data);
    CHECK(data == bytes(0, 0, 0, 0));
}

TEST_CASE("the exit device takes a code of any width as it is") {
    std::vector<std::uint32_t> codes;
    ExitDevice device{[&codes](std::uint32_t code) { codes.push_back(code); }};
    check_reads_zero(device, 0);
    device.write(0, bytes(7));
    device.write(0, bytes(0x34, 0x12));
    device.write(0, bytes(0xFF, 0xFF, 0xFF, 0xFF));
    device.write(0, bytes(1, 0, 0, 0, 9, 9, 9, 9));
    CHECK(codes == std::vector<std::uint32_t>{7, 0x1234, 0xFFFF'FFFF, 1});
    SUBCASE("and nothing beside it") {
        device.write(1, bytes(7));
        device.write(3, bytes(7));
        CHECK(codes.size() == 4);
    }
}

TEST_CASE("a guest is ready as often as it says so, and nobody has to listen") {
    int times = 0;
    Ready device{[&times] { ++times; }};
    check_reads_zero(device, 0);
    device.write(0, bytes(1));
    device.write(8, bytes(0, 0, 0, 0));
    CHECK(times == 2);
    Ready unheard{{}};
    unheard.write(0, bytes(1));
}

TEST_CASE("the power device switches off for sleep type 5 with the enable bit only") {
    int offs = 0;
    Power device{[&offs] { ++offs; }};
    check_reads_zero(device, 0);
    check_reads_zero(device, 1);
    for (int type = 0; type < 8; ++type) {
        device.write(0, bytes(type << 2));
        device.write(1, bytes(type << 2 | 0x20));  // the status register
        if (type != abi::sleep_type_off) {
            device.write(0, bytes(type << 2 | 0x20));
        }
    }
    CHECK(offs == 0);
    device.write(0, bytes(abi::sleep_type_off << 2 | 0x20));
    CHECK(offs == 1);
}

TEST_CASE("the boot timer hears its number only") {
    int boots = 0;
    BootTimer device{[&boots] { ++boots; }};
    check_reads_zero(device, 0);
    device.write(0, bytes(122));
    device.write(1, bytes(123));
    CHECK(boots == 0);
    device.write(0, bytes(123, 0, 0, 0));
    CHECK(boots == 1);
}

TEST_CASE("the boot timer hears its number only once, from two vCPUs, too") {
    std::atomic<int> boots = 0;
    BootTimer device{[&boots] { ++boots; }};
    const auto write_often = [&device] {
        for (int count = 0; count < 1000; ++count) {
            device.write(0, bytes(abi::boot_timer_magic));
        }
    };
    {
        const std::jthread other{write_often};
        write_often();
    }
    CHECK(boots == 1);
}

}  // namespace
}  // namespace shoal::legacy
