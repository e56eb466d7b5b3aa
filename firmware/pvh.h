// PVH start info: the page at abi::pvh_start_info that ebx points to.
#pragma once

#include <optional>

#include "devices/machine/gpa.h"
#include "devices/machine/guest_memory.h"

namespace shoal::firmware {

struct InitrdPlace {
    machine::Gpa start;
    std::uint64_t size_bytes = 0;
};

// Writes start info, module list and memory map. `rsdp` may be 0: no ACPI.
void write_pvh_start_info(const machine::GuestMemory& memory, machine::Gpa command_line,
                          const std::optional<InitrdPlace>& initrd, machine::Gpa rsdp);

}  // namespace shoal::firmware
