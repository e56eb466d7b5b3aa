// The device tree, as dtc reads it.
#include "firmware/device_tree.h"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "devices/abi/address_map.h"
#include "tests/unit/firmware/tool.h"

namespace shoal::firmware {
namespace {

using machine::Gpa;
using machine::GuestMemory;

TEST_CASE("dtc reads the device tree, and it describes the machine") {
    constexpr std::array<VirtioMmioSlot, 1> slots{
        {{Gpa{abi::virtio_mmio_start}, abi::virtio_mmio_size, 5}}};
    const GuestMemory memory{16 << 20};
    const std::uint32_t size = write_device_tree(memory, {2, slots}, "console=ttyS0 \"a b\"",
                                                 InitrdPlace{Gpa{0xF00000}, 0x1234});
    REQUIRE(size > 0);
    REQUIRE(size <= abi::device_tree_max_bytes);
    const std::string source = testing::check_with("dtc -q -I dtb -O dts table.bin",
                                                   *memory.slice(Gpa{abi::device_tree}, size));
    for (const char* expected :
         {"cpu@0", "cpu@1", "memory@0", "bootargs = \"console=ttyS0 \\\"a b\\\"\"",
          "linux,initrd-start = <0x00 0xf00000>", "linux,initrd-end = <0x00 0xf01234>",
          "virtio_mmio@c0001000", "virtio,mmio", "interrupts = <0x05 0x01>", "ns16550a"}) {
        CAPTURE(expected);
        CHECK(source.find(expected) != std::string::npos);
    }
}

TEST_CASE("the device tree of the largest machine fits its area") {
    const std::vector<VirtioMmioSlot> many(abi::max_virtio_devices,
                                           {Gpa{abi::virtio_mmio_start}, abi::virtio_mmio_size, 5});
    std::vector<VirtioMmioSlot> slots = many;
    for (std::size_t i = 0; i < slots.size(); ++i) {
        slots[i].start = Gpa{abi::virtio_mmio_start + i * abi::virtio_mmio_size};
    }
    const GuestMemory memory{1 << 20};
    const std::string longest(abi::command_line_max_bytes - 1, 'x');
    CHECK(write_device_tree(memory, {abi::max_vcpus, slots}, longest, std::nullopt) <
          abi::device_tree_max_bytes);
}

}  // namespace
}  // namespace shoal::firmware
