// The bzImage loader.
#include "vmm/boot/bzimage.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "devices/abi/address_map.h"

namespace shoal::boot {
namespace {

constexpr std::uint64_t header_offset = 0x1F1;
constexpr std::uint64_t header_end_base = 0x202;  // + the byte at 0x201: where the header ends
constexpr std::uint64_t sector_bytes = 512;
constexpr std::uint8_t default_setup_sectors = 4;
constexpr std::uint32_t header_magic = 0x5372'6448;  // "HdrS"
constexpr std::uint16_t boot_flag = 0xAA55;
constexpr std::uint16_t lowest_version = 0x020C;  // 2.12: xloadflags
constexpr std::uint64_t entry_offset = 0x200;     // startup_64
constexpr std::uint64_t paragraph_bytes = 16;     // of syssize; the last one need not be whole

std::string hex(std::uint64_t value) {
    std::array<char, 24> text;
    std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value));
    return text.data();
}

// The image's header may be shorter or longer than ours: what it lacks is zero.
setup_header read_header(const ImageFile& file) {
    std::array<std::byte, header_end_base> start{};
    file.read(0, start);
    const std::uint64_t end = header_end_base + std::to_integer<std::uint8_t>(start[0x201]);
    const std::size_t size = std::min<std::size_t>(end - header_offset, sizeof(setup_header));
    std::array<std::byte, sizeof(setup_header)> bytes{};
    file.read(header_offset, std::span{bytes}.first(size));
    setup_header header;
    std::memcpy(&header, bytes.data(), sizeof header);
    return header;
}

void check(const ImageFile& file, const setup_header& header) {
    if (header.version < lowest_version) {
        file.fail("speaks boot protocol " + hex(header.version) + "; " + hex(lowest_version) +
                  " or later is needed");
    }
    if ((header.xloadflags & XLF_KERNEL_64) == 0) {
        file.fail("has no 64-bit entry point: load flags " + hex(header.xloadflags));
    }
    if ((header.loadflags & LOADED_HIGH) == 0) {
        file.fail("is a zImage, which loads below 1 MiB: load flags " + hex(header.loadflags));
    }
}

}  // namespace

bool is_bzimage(const ImageFile& file) {
    constexpr std::uint64_t magic_offset = 0x202;
    constexpr std::uint64_t flag_offset = 0x1FE;
    return file.size_bytes() >= magic_offset + sizeof header_magic &&
           file.read<std::uint32_t>(magic_offset) == header_magic &&
           file.read<std::uint16_t>(flag_offset) == boot_flag;
}

BzImage load_bzimage(const machine::GuestMemory& memory, const ImageFile& file) {
    const setup_header header = read_header(file);
    check(file, header);
    const std::uint8_t sectors =
        header.setup_sects == 0 ? default_setup_sectors : header.setup_sects;
    const std::uint64_t kernel_offset = (std::uint64_t{sectors} + 1) * sector_bytes;
    if (kernel_offset >= file.size_bytes()) {
        file.fail("is truncated: its kernel begins at offset " + std::to_string(kernel_offset) +
                  ", it has " + std::to_string(file.size_bytes()) + " bytes");
    }
    const std::uint64_t kernel_bytes = file.size_bytes() - kernel_offset;
    const std::uint64_t whole_bytes = header.syssize * paragraph_bytes;
    if (kernel_bytes <= entry_offset || kernel_bytes + paragraph_bytes <= whole_bytes) {
        file.fail("is truncated: its kernel has " + std::to_string(kernel_bytes) + " bytes of " +
                  std::to_string(whole_bytes));
    }
    // Where it prefers to be; a relocatable one without a preference is as well off at the start.
    const bool has_preference = header.relocatable_kernel == 0 || header.pref_address != 0;
    const std::uint64_t place = has_preference ? header.pref_address : abi::kernel_start;
    const std::uint64_t needed = std::max<std::uint64_t>(kernel_bytes, header.init_size);
    if (place < abi::kernel_start || !memory.slice(machine::Gpa{place}, needed)) {
        file.fail("needs " + std::to_string(needed) + " bytes at " + hex(place) +
                  ", outside the guest's RAM of " + std::to_string(memory.size_bytes() >> 20) +
                  " MiB");
    }
    file.read(kernel_offset, *memory.slice(machine::Gpa{place}, kernel_bytes));
    return {machine::Gpa{place + entry_offset}, machine::Gpa{place + needed},
            std::uint64_t{header.initrd_addr_max} + 1, header};
}

}  // namespace shoal::boot
