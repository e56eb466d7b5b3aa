// The page-table side of areas: giving pages back, changing rights, moving.
#pragma once

#include <cstdint>

#include "guest/kernel/address_space.h"

namespace shoal::guest {

// Whether an area may be both. Its pages never are: each is what it was last used for.
[[nodiscard]] constexpr bool is_write_execute(unsigned protection) {
    return (protection & prot_write) != 0 && (protection & prot_execute) != 0;
}

// The rights of an area's pages; not executable where it is writable, too. Pages that the area only
// borrows stay read-only.
[[nodiscard]] std::uint64_t entry_flags(unsigned protection);

// What becomes of a 2 MiB page that a range covers in part.
enum class PartialPage {
    split,  // small pages from now on, so that the range faults
    clear,  // the range reads as zeros, but stays mapped
};

// Unmaps all pages of [start, end) and frees the ones the program owned.
void release_pages(std::uint64_t start, std::uint64_t end, PartialPage partial);
// The same for tables that the CPU will not use before it has forgotten the old entries. True if
// there were any.
bool release_pages_unflushed(std::uint64_t start, std::uint64_t end, PartialPage partial);

// Gives the area's present pages the area's rights. False when there are no more page tables.
[[nodiscard]] bool protect_pages(const Area& area);

// Moves the pages that are present at `from` to the mapping at `to`, where there are none. False
// when there are no more page tables, and nothing has changed then.
[[nodiscard]] bool move_pages(std::uint64_t from, std::uint64_t to, std::uint64_t size_bytes);

}  // namespace shoal::guest
