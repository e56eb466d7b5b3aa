// PVH start info: the page at abi::pvh_start_info that ebx points to.
#pragma once

#include <optional>

#include "devices/machine/gpa.h"
#include "devices/machine/guest_memory.h"
#include "firmware/machine_layout.h"

namespace shoal::firmware {

// Writes start info, module list and memory map. `rsdp` may be 0: no ACPI.
void write_pvh_start_info(const machine::GuestMemory& memory, machine::Gpa command_line,
                          const std::optional<InitrdPlace>& initrd, machine::Gpa rsdp);

}  // namespace shoal::firmware
