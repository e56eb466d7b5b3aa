// Reading hvm_start_info, and the first division of RAM.
#include "guest/kernel/boot_info.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "devices/abi/address_map.h"
#include "devices/abi/pvh.h"
#include "guest/kernel/page_table.h"
#include "guest/kernel/panic.h"

namespace shoal::guest {
namespace {

constexpr std::uint32_t max_memory_map_entries = 128;
constexpr std::uint64_t kernel_reserve = 1ULL << 20;  // the console's buffers, small objects

constexpr std::uint64_t table_reserve_threshold = 48ULL << 20;

constinit std::array<char, abi::command_line_max_bytes> command_line{};

template <typename T>
const T* at_physical(std::uint64_t address, std::size_t count = 1) {
    return static_cast<const T*>(map_kernel_ram(address, count * sizeof(T)));
}

std::span<char> copy_command_line(std::uint64_t address) {
    if (address == 0) {
        return {};
    }
    const char* text = at_physical<char>(address, command_line.size());
    const std::size_t size = strnlen(text, command_line.size() - 1);
    std::memcpy(command_line.data(), text, size);
    return {command_line.data(), size};
}

// RAM without what the loader put there.
void add_free_ram(PhysicalRange ram, PhysicalRange taken) {
    ram.start = std::max<std::uint64_t>(ram.start, NUB_FREE_RAM);
    if (ram.start >= ram.end) {
        return;
    }
    if (taken.end <= ram.start || taken.start >= ram.end) {
        physical_memory.add(ram);
        return;
    }
    physical_memory.add({ram.start, std::min(ram.end, taken.start)});
    physical_memory.add({std::max(ram.start, taken.end), ram.end});
}

}  // namespace

BootInfo read_boot_info(std::uint64_t start_info) {
    const auto* info = at_physical<abi::pvh::StartInfo>(start_info);
    if (info->magic != abi::pvh::start_info_magic || info->version < abi::pvh::start_info_version ||
        info->memory_map_count > max_memory_map_entries) {
        panic("not started by PVH version 1 or later: start info at", start_info);
    }
    BootInfo result{copy_command_line(info->command_line), {}};
    PhysicalRange initramfs{};
    if (info->module_count > 0) {
        const auto* module = at_physical<abi::pvh::Module>(info->modules);
        initramfs = {module->start, module->start + module->size_bytes};
        result.initramfs = {at_physical<std::byte>(module->start, module->size_bytes),
                            module->size_bytes};
    }
    const auto* map =
        at_physical<abi::pvh::MemoryMapEntry>(info->memory_map, info->memory_map_count);
    for (std::uint32_t i = 0; i < info->memory_map_count; ++i) {
        if (map[i].type == abi::pvh::MemoryType::ram) {
            add_free_ram({map[i].start, map[i].start + map[i].size_bytes}, initramfs);
        }
    }
    // A leaf table maps 512 pages; the image's own tables serve the first 256 MiB. 2 MiB more are
    // for the tables above the leaves, of which every process needs some.
    const std::uint64_t total = physical_memory.total_bytes();
    if (total < large_page_size) {
        panic("the microVM has too little memory: 16 MiB are needed; free bytes", total);
    }
    if (total >= table_reserve_threshold) {
        const std::uint64_t leaves = total > 256ULL << 20 ? total / 256 : 0;
        physical_memory.reserve_tables((leaves + 2 * large_page_size - 1) & ~(large_page_size - 1));
    }
    physical_memory.reserve_kernel(kernel_reserve);
    return result;
}

}  // namespace shoal::guest
