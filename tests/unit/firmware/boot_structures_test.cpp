// Memory map, page tables, GDT, zero page and PVH start info in guest memory.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>

#include "devices/abi/address_map.h"
#include "devices/abi/pvh.h"
#include "firmware/gdt.h"
#include "firmware/memory_map.h"
#include "firmware/page_tables.h"
#include "firmware/pvh.h"
#include "firmware/zero_page.h"

namespace shoal::firmware {
namespace {

using abi::pvh::MemoryType;
using machine::Gpa;
using machine::GuestMemory;

TEST_CASE("the memory map covers RAM without the ACPI area and the hole") {
    SUBCASE("the smallest machine has only low RAM") {
        const auto map = make_memory_map(GuestMemory{1 << 20});
        REQUIRE(map.size() == 2);
        CHECK(map[0].size_bytes == abi::low_ram_end);
        CHECK(map[1].type == MemoryType::reserved);
    }
    SUBCASE("beyond 3 GiB it goes on at 4 GiB") {
        const GuestMemory memory{5ULL << 30};
        const auto map = make_memory_map(memory);
        REQUIRE(map.size() == 4);
        CHECK(map[2].start == abi::kernel_start);
        CHECK(map[2].start + map[2].size_bytes == abi::ram_hole_start);
        CHECK(map[3].start == abi::ram_hole_end);
        CHECK(map[3].size_bytes == 2ULL << 30);
        for (std::size_t i = 1; i < map.size(); ++i) {
            CHECK(map[i - 1].start + map[i - 1].size_bytes <= map[i].start);
        }
    }
}

// Walks the tables as a CPU does; 0 for what is not mapped.
std::uint64_t translate(const GuestMemory& memory, std::uint64_t address) {
    std::uint64_t table = abi::page_tables;
    for (const unsigned shift : {39U, 30U}) {
        const auto entry = *memory.read<std::uint64_t>(Gpa{table + 8 * (address >> shift & 511)});
        if ((entry & 1) == 0) {
            return 0;
        }
        table = entry & ~0xFFFULL;
    }
    const auto entry = *memory.read<std::uint64_t>(Gpa{table + 8 * (address >> 21 & 511)});
    return (entry & 0x83) == 0x83 ? (entry & ~0x1FFFFFULL) + (address & 0x1FFFFF) : 0;
}

TEST_CASE("the page tables map the first 4 GiB to themselves, and no more") {
    const GuestMemory memory{1 << 20};
    write_page_tables(memory);
    for (const std::uint64_t address :
         {0x1000ULL, 0x10'0000ULL, 0x1FF'FFFFULL, 0x4000'0000ULL, 0xFFFF'FFFFULL}) {
        CAPTURE(address);
        CHECK(translate(memory, address) == address);
    }
    CHECK(translate(memory, 1ULL << 32) == 0);
    CHECK(translate(memory, 1ULL << 39) == 0);
}

TEST_CASE("the GDT has Linux's two segments") {
    const GuestMemory memory{1 << 20};
    write_gdt(memory);
    const auto code = *memory.read<std::uint64_t>(Gpa{abi::gdt_start + code_selector});
    const auto data = *memory.read<std::uint64_t>(Gpa{abi::gdt_start + data_selector});
    CHECK((code >> 53 & 1) == 1);  // 64-bit
    CHECK((code >> 43 & 1) == 1);  // executable
    CHECK((data >> 43 & 1) == 0);
    CHECK((code >> 47 & 1) == 1);  // present
    CHECK((data >> 47 & 1) == 1);
}

TEST_CASE("the zero page tells Linux of command line, initrd, memory and tables") {
    const GuestMemory memory{16 << 20};
    write_zero_page(memory, {make_setup_header(), 11, InitrdPlace{Gpa{0x80'0000}, 0x5000},
                             Gpa{abi::acpi_tables}, 200});
    const auto page = *memory.slice(Gpa{abi::zero_page}, sizeof(boot_params));
    boot_params params;
    std::memcpy(&params, page.data(), sizeof params);
    CHECK(std::uint64_t{params.hdr.cmd_line_ptr} == abi::command_line);
    CHECK(std::uint64_t{params.hdr.cmdline_size} == 11);
    CHECK(std::uint64_t{params.hdr.ramdisk_image} == 0x80'0000);
    CHECK(std::uint64_t{params.hdr.ramdisk_size} == 0x5000);
    CHECK(std::uint64_t{params.acpi_rsdp_addr} == abi::acpi_tables);
    CHECK(std::uint64_t{params.e820_entries} == 3);
    CHECK(std::uint64_t{params.e820_table[2].addr} == abi::kernel_start);
    const auto next = *memory.read<std::uint64_t>(Gpa{params.hdr.setup_data});
    const auto type = *memory.read<std::uint32_t>(Gpa{params.hdr.setup_data + 8});
    CHECK(next == 0);
    CHECK(type == SETUP_DTB);
    CHECK(params.hdr.setup_data + 16 == abi::device_tree);
}

TEST_CASE("the PVH start info leads to command line, module and memory map") {
    const GuestMemory memory{16 << 20};
    write_pvh_start_info(memory, Gpa{abi::command_line}, InitrdPlace{Gpa{0x80'0000}, 0x5000},
                         Gpa{abi::acpi_tables});
    const auto info = *memory.read<abi::pvh::StartInfo>(Gpa{abi::pvh_start_info});
    CHECK(info.magic == abi::pvh::start_info_magic);
    CHECK(info.command_line == abi::command_line);
    CHECK(info.rsdp == abi::acpi_tables);
    REQUIRE(info.module_count == 1);
    const auto module = *memory.read<abi::pvh::Module>(Gpa{info.modules});
    CHECK(module.start == 0x80'0000);
    CHECK(module.size_bytes == 0x5000);
    REQUIRE(info.memory_map_count == 3);
    const auto entry = *memory.read<abi::pvh::MemoryMapEntry>(
        Gpa{info.memory_map + 2 * sizeof(abi::pvh::MemoryMapEntry)});
    CHECK(entry.start == abi::kernel_start);
    CHECK(entry.type == MemoryType::ram);
}

}  // namespace
}  // namespace shoal::firmware
