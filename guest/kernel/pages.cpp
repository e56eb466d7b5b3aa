// The kernel's memory: the one object that hands out RAM, and pages of it for the parts that do not
// know it.
#include "guest/kernel/pages.h"

#include "guest/kernel/physical_memory.h"

namespace shoal::guest {

constinit PhysicalMemory physical_memory;

void* allocate_page() {
    return physical_memory.allocate_page();
}

void* allocate_file_page() {
    const std::uint64_t floor = physical_memory.total_bytes() / file_floor_share;
    return physical_memory.keep_free(floor) ? physical_memory.allocate_page() : nullptr;
}

void free_page(void* page) {
    physical_memory.free_page(page);
}

}  // namespace shoal::guest
