// The guest's memory as a file.
#pragma once

#include <cstdint>
#include <span>

#include "devices/machine/guest_memory.h"
#include "vmm/state/new_file.h"

namespace shoal::state {

enum class Zeros {
    are_holes,  // of a file that is empty so far
    are_written,
};

// Writes the pages of the set (vmm/machine/page_set.h) to their places in `file`, which has the
// memory's size. Other pages are not touched: to look at one would fill its hole.
void write_pages(const machine::GuestMemory& memory, std::span<const std::uint64_t> pages,
                 Zeros zeros, NewFile& file);

}  // namespace shoal::state
