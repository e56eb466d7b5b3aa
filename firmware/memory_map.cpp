// The memory map of a microVM.
#include "firmware/memory_map.h"

#include "devices/abi/address_map.h"

namespace shoal::firmware {

std::vector<abi::pvh::MemoryMapEntry> make_memory_map(const machine::GuestMemory& memory) {
    using abi::pvh::MemoryType;
    std::vector<abi::pvh::MemoryMapEntry> map{
        {0, abi::low_ram_end, MemoryType::ram, 0},
        {abi::acpi_tables, abi::acpi_tables_end - abi::acpi_tables, MemoryType::reserved, 0},
    };
    for (const machine::RamRegion& region : memory.regions()) {
        std::uint64_t start = region.start.value();
        const std::uint64_t end = start + region.bytes.size();
        if (start < abi::kernel_start) {
            start = abi::kernel_start;
        }
        if (start < end) {
            map.push_back({start, end - start, MemoryType::ram, 0});
        }
    }
    return map;
}

}  // namespace shoal::firmware
