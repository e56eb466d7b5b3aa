// MemoryMap: what each part of the guest's physical address space is, as E820 and PVH tell it.
#pragma once

#include <vector>

#include "devices/abi/pvh.h"
#include "devices/machine/guest_memory.h"

namespace shoal::firmware {

// In address order, not overlapping: RAM, the ACPI area below 1 MiB, RAM again on both sides of the
// hole.
[[nodiscard]] std::vector<abi::pvh::MemoryMapEntry> make_memory_map(
    const machine::GuestMemory& memory);

}  // namespace shoal::firmware
