// Filling in boot_params (Documentation/arch/x86/{boot,zero-page}.rst).
#include "firmware/zero_page.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "devices/abi/address_map.h"
#include "devices/host/check.h"
#include "firmware/memory_map.h"

namespace shoal::firmware {
namespace {

constexpr std::uint16_t boot_flag = 0xAA55;
constexpr std::uint32_t header_magic = 0x5372'6448;  // "HdrS"
constexpr std::uint16_t protocol_version = 0x020C;   // 2.12: 64-bit entry, flags
constexpr std::uint8_t loader_undefined = 0xFF;
constexpr std::uint8_t flag_loaded_high = 0x01;
constexpr std::uint32_t kernel_alignment = 0x0100'0000;

// struct setup_data without its flexible end.
struct SetupDataHead {
    std::uint64_t next;
    std::uint32_t type;
    std::uint32_t size_bytes;
};
static_assert(sizeof(SetupDataHead) == 16);
constexpr std::uint64_t setup_data = abi::device_tree - sizeof(SetupDataHead);

void fill_memory_map(const machine::GuestMemory& memory, boot_params& params) {
    const auto map = make_memory_map(memory);
    SHOAL_CHECK(map.size() <= std::size(params.e820_table));
    params.e820_entries = static_cast<std::uint8_t>(map.size());
    for (std::size_t i = 0; i < map.size(); ++i) {
        params.e820_table[i].addr = map[i].start;
        params.e820_table[i].size = map[i].size_bytes;
        params.e820_table[i].type = static_cast<std::uint32_t>(map[i].type);
    }
}

}  // namespace

setup_header make_setup_header() {
    setup_header header{};
    header.boot_flag = boot_flag;
    header.header = header_magic;
    header.version = protocol_version;
    header.loadflags = flag_loaded_high;
    header.kernel_alignment = kernel_alignment;
    header.initrd_addr_max = static_cast<std::uint32_t>(abi::ram_hole_start - 1);
    return header;
}

void write_zero_page(const machine::GuestMemory& memory, const ZeroPage& page) {
    boot_params params{};
    params.hdr = page.header;
    params.hdr.type_of_loader = loader_undefined;
    params.hdr.cmd_line_ptr = static_cast<std::uint32_t>(abi::command_line);
    params.hdr.cmdline_size = page.command_line_bytes;
    if (page.initrd) {
        params.hdr.ramdisk_image = static_cast<std::uint32_t>(page.initrd->start.value());
        params.hdr.ramdisk_size = static_cast<std::uint32_t>(page.initrd->size_bytes);
    }
    params.acpi_rsdp_addr = page.rsdp.value();
    fill_memory_map(memory, params);
    if (page.device_tree_bytes != 0) {
        const SetupDataHead head{0, SETUP_DTB, page.device_tree_bytes};
        SHOAL_CHECK(memory.write(machine::Gpa{setup_data}, head));
        params.hdr.setup_data = setup_data;
    }
    SHOAL_CHECK(
        memory.write_bytes(machine::Gpa{abi::zero_page}, std::as_bytes(std::span{&params, 1})));
}

}  // namespace shoal::firmware
