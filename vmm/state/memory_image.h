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

// Before a snapshot behind the guest, while it still runs: takes a shared memory's pages out of the
// page tables, KVM's among them, which the snapshot would have to do while the guest stands still.
// What the guest touches until then comes back by faults; what it holds is in the memfd.
void unmap_shared(const machine::GuestMemory& memory) noexcept;

}  // namespace shoal::state
