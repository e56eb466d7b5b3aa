// The bus: who answers an address.
#include "vmm/machine/bus.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

namespace shoal::vmm {
namespace {

struct Recorder final : machine::BusDevice {
    void read(std::uint64_t offset, std::span<std::byte> data) noexcept override {
        last_offset = offset;
        std::ranges::fill(data, std::byte{0x5A});
    }
    void write(std::uint64_t offset, std::span<const std::byte> data) noexcept override {
        last_offset = offset;
        written = data.size();
    }
    std::uint64_t last_offset = UINT64_MAX;
    std::size_t written = 0;
};

TEST_CASE("an access reaches the device in whose range it lies, with its offset") {
    Bus bus;
    Recorder low;
    Recorder high;
    bus.add(0x200, 0x10, high);
    bus.add(0x100, 0x10, low);
    std::array<std::byte, 4> data{};
    bus.read(0x104, data);
    CHECK(low.last_offset == 4);
    CHECK(data[3] == std::byte{0x5A});
    bus.write(0x20C, data);
    CHECK(high.last_offset == 0xC);
    CHECK(high.written == 4);
    CHECK(bus.unanswered() == 0);
}

TEST_CASE("what nobody answers reads as all ones and is counted") {
    Bus bus;
    Recorder device;
    bus.add(0x100, 0x10, device);
    std::array<std::byte, 4> data{};
    SUBCASE("before the first range") {
        bus.read(0xFC, data);
    }
    SUBCASE("behind the last range") {
        bus.read(0x110, data);
    }
    SUBCASE("across the end of a range") {
        bus.read(0x10E, data);
    }
    SUBCASE("across the start of a range") {
        bus.read(0xFE, data);
    }
    SUBCASE("at the end of the address space") {
        bus.read(UINT64_MAX - 1, data);
    }
    CHECK(data[0] == std::byte{0xFF});
    CHECK(data[3] == std::byte{0xFF});
    CHECK(device.last_offset == UINT64_MAX);
    CHECK(bus.unanswered() == 1);
    bus.write(0x110, data);
    CHECK(bus.unanswered() == 2);
}

TEST_CASE("a bus without devices answers nothing") {
    Bus bus;
    std::array<std::byte, 1> data{};
    bus.read(0, data);
    CHECK(data[0] == std::byte{0xFF});
}

}  // namespace
}  // namespace shoal::vmm
