// Pages: where the kernel's data structures get memory of 4 KiB from.
#pragma once

namespace shoal::guest {

// A zeroed page, aligned to its size, by its kernel address; nullptr when memory is gone.
[[nodiscard]] void* allocate_page();

// Gives back what allocate_page() returned.
void free_page(void* page);

}  // namespace shoal::guest
