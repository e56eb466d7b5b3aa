// The guest's memory as a file.
#pragma once

#include "devices/machine/guest_memory.h"
#include "vmm/state/new_file.h"

namespace shoal::state {

// Writes every page that is not zero to its place in `file`, which has the memory's size and is
// empty. Pages that nobody ever touched are not touched either: to look at one would fill its hole.
void write_memory(const machine::GuestMemory& memory, NewFile& file);

}  // namespace shoal::state
