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

// From this size on, page tables keep RAM of their own: a leaf table maps 512 pages.
constexpr std::uint64_t tables_kept_from = 48ULL << 20;

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
void add_free_ram(PhysicalRange ram, PhysicalRange taken, std::uint64_t tables_end) {
    ram.start = std::max(ram.start, tables_end);
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

// In large pages.
std::uint64_t ready_tables_end() {
    return (shoal_ready_end + large_page_size - 1) & ~(large_page_size - 1);
}

// Where the RAM ends that is left to page tables at first: the nub's limit, or half of what there
// is before anything else comes.
std::uint64_t choose_tables_end(std::span<const abi::pvh::MemoryMapEntry> map,
                                PhysicalRange taken) {
    std::uint64_t end = NUB_TABLES_START;
    for (const abi::pvh::MemoryMapEntry& entry : map) {
        if (entry.type == abi::pvh::MemoryType::ram && entry.start <= NUB_TABLES_START) {
            end = std::max(end, entry.start + entry.size_bytes);
        }
    }
    if (taken.start < end && taken.end > NUB_TABLES_START) {
        end = std::max<std::uint64_t>(taken.start, NUB_TABLES_START);
    }
    const std::uint64_t half = NUB_TABLES_START + (end - NUB_TABLES_START) / 2;
    return std::min<std::uint64_t>(NUB_TABLES_END,
                                   std::max(half & ~(large_page_size - 1), ready_tables_end()));
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
    const std::span entries{map, info->memory_map_count};
    const std::uint64_t tables_end = choose_tables_end(entries, initramfs);
    if (tables_end != NUB_TABLES_END && !release_table_memory(tables_end)) {
        panic("the nub keeps RAM for itself up to", tables_end);
    }
    for (const abi::pvh::MemoryMapEntry& entry : entries) {
        if (entry.type == abi::pvh::MemoryType::ram) {
            add_free_ram({entry.start, entry.start + entry.size_bytes}, initramfs, tables_end);
        }
    }
    const std::uint64_t total = physical_memory.total_bytes() + (tables_end - NUB_TABLES_START);
    if (total < large_page_size) {
        panic("the microVM has too little memory beside its files: 2 MiB are needed; free bytes",
              total);
    }
    const std::uint64_t kept =
        total < tables_kept_from ? 0 : (total / 512 + large_page_size - 1) & ~(large_page_size - 1);
    physical_memory.leave_to_tables(
        tables_end, std::min(std::max(NUB_TABLES_START + kept, ready_tables_end()), tables_end));
    physical_memory.reserve_kernel(kernel_reserve);
    physical_memory.count_blocks();
    return result;
}

}  // namespace shoal::guest
