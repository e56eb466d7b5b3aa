// A whole boot: command line, initrd and tables around a kernel.
#include "vmm/boot/boot.h"

#include <doctest/doctest.h>

#include <array>

#include "devices/abi/address_map.h"
#include "devices/abi/pvh.h"
#include "tests/unit/vmm/boot/image_builder.h"
#include "vmm/boot/image_file.h"

namespace shoal::boot {
namespace {

using machine::Gpa;
using machine::GuestMemory;
using testing::ElfImage;
using testing::MemoryFile;

constexpr std::uint64_t start = 0x20'0000;
constexpr std::array<VirtioMmioSlot, 1> slots{
    {{Gpa{abi::virtio_mmio_start}, abi::virtio_mmio_size, 5}}};

ElfImage pvh_kernel() {
    ElfImage image{start};
    image.add_pvh_note(start);
    return image;
}

EntryPoint boot(const GuestMemory& memory, const MemoryFile& kernel, const MemoryFile* initrd,
                const std::string& command_line, const MachineLayout& layout) {
    const ImageFile kernel_image{"kernel", kernel.path()};
    if (initrd == nullptr) {
        return load(memory, {&kernel_image, nullptr, command_line}, layout);
    }
    const ImageFile initrd_image{"initrd", initrd->path()};
    return load(memory, {&kernel_image, &initrd_image, command_line}, layout);
}

std::string command_line_of(const GuestMemory& memory) {
    const auto bytes = *memory.slice(Gpa{abi::command_line}, abi::command_line_max_bytes);
    return reinterpret_cast<const char*>(bytes.data());
}

TEST_CASE("a kernel with a PVH note starts by PVH, one without by Linux's protocol") {
    const GuestMemory memory{8 << 20};
    const MemoryFile pvh{pvh_kernel().bytes()};
    const EntryPoint by_pvh = boot(memory, pvh, nullptr, "", {1, slots});
    CHECK(by_pvh.protocol == Protocol::pvh);
    CHECK(by_pvh.entry == Gpa{start});
    CHECK(by_pvh.boot_info == Gpa{abi::pvh_start_info});

    const MemoryFile plain{ElfImage{start}.bytes()};
    const EntryPoint by_linux = boot(memory, plain, nullptr, "", {1, slots});
    CHECK(by_linux.protocol == Protocol::linux64);
    CHECK(by_linux.boot_info == Gpa{abi::zero_page});
}

TEST_CASE("devices are announced on the command line, before the program's arguments") {
    const GuestMemory memory{8 << 20};
    const MemoryFile kernel{pvh_kernel().bytes()};
    static_cast<void>(boot(memory, kernel, nullptr, "quiet -- a -- b", {1, slots}));
    CHECK(command_line_of(memory) == "quiet virtio_mmio.device=4K@0xc0001000:5 -- a -- b");
}

TEST_CASE("a command line that is too long is refused with both numbers") {
    const GuestMemory memory{8 << 20};
    const MemoryFile kernel{pvh_kernel().bytes()};
    const std::string longest(abi::command_line_max_bytes - 1, 'x');
    CHECK_NOTHROW(static_cast<void>(boot(memory, kernel, nullptr, longest, {1, {}})));
    CHECK_THROWS_WITH_AS(
        static_cast<void>(boot(memory, kernel, nullptr, longest + "x", {1, {}})),
        "the kernel command line has 2048 bytes, devices included; the most is 2047", BootError);
}

TEST_CASE("the initrd lies page-aligned at the end of RAM, as PVH says") {
    const GuestMemory memory{8 << 20};
    const MemoryFile kernel{pvh_kernel().bytes()};
    const std::string content(5000, 'i');
    const MemoryFile initrd{content};
    static_cast<void>(boot(memory, kernel, &initrd, "", {1, {}}));
    const auto info = *memory.read<abi::pvh::StartInfo>(Gpa{abi::pvh_start_info});
    REQUIRE(info.module_count == 1);
    const auto module = *memory.read<abi::pvh::Module>(Gpa{info.modules});
    CHECK(module.start % abi::page_size == 0);
    CHECK(module.start == (8 << 20) - 8192);
    CHECK(module.size_bytes == 5000);
    CHECK(std::memcmp(memory.slice(Gpa{module.start}, 5000)->data(), content.data(), 5000) == 0);
}

TEST_CASE("an initrd that does not fit beside the kernel is refused") {
    const GuestMemory memory{4 << 20};
    const MemoryFile kernel{pvh_kernel().bytes()};
    const std::size_t room = (4 << 20) - start - abi::page_size;
    const MemoryFile fits{std::string(room, 'i')};
    CHECK_NOTHROW(static_cast<void>(boot(memory, kernel, &fits, "", {1, {}})));
    const MemoryFile too_large{std::string(room + 4096, 'i')};
    CHECK_THROWS_AS(static_cast<void>(boot(memory, kernel, &too_large, "", {1, {}})), BootError);
    const MemoryFile enormous{std::string(5 << 20, 'i')};
    CHECK_THROWS_AS(static_cast<void>(boot(memory, kernel, &enormous, "", {1, {}})), BootError);
}

TEST_CASE("a file that is no kernel is refused") {
    const GuestMemory memory{8 << 20};
    const MemoryFile text{"#!/bin/sh\n"};
    CHECK_THROWS_AS(static_cast<void>(boot(memory, text, nullptr, "", {1, {}})), BootError);
}

}  // namespace
}  // namespace shoal::boot
