// Pages: where the kernel's data structures get memory of 4 KiB from.
#pragma once

namespace shoal::guest {

// A zeroed page, aligned to its size, by its kernel address; nullptr when memory is gone.
[[nodiscard]] void* allocate_page();

// The share of all memory that files leave free, so that a full disk is no end of the program.
inline constexpr unsigned file_floor_share = 64;
// The same as allocate_page(), for the content of files: nullptr when that share is reached, too.
[[nodiscard]] void* allocate_file_page();

// Gives back what allocate_page() returned.
void free_page(void* page);

}  // namespace shoal::guest
