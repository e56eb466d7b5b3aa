// What is in a memfd: to look at its holes would fill them.
#include "vmm/migration/page_set.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <numeric>

#include "vmm/migration/page_run.h"

namespace shoal::migration {
namespace {

constexpr std::uint64_t pages_per_word = 64;

void add(PageSet& pages, std::uint64_t first, std::uint64_t end) {
    for (std::uint64_t page = first; page < end; ++page) {
        pages[page / pages_per_word] |= std::uint64_t{1} << page % pages_per_word;
    }
}

// Where the next data or hole begins, or the end.
std::uint64_t seek(const machine::GuestMemory& memory, std::uint64_t at, int what) {
    const off_t found = ::lseek(memory.fd(), static_cast<off_t>(at), what);
    return found < 0 ? memory.size_bytes() : static_cast<std::uint64_t>(found);
}

}  // namespace

PageSet empty_set(std::uint64_t memory_bytes) {
    const std::uint64_t page_count = memory_bytes / page_bytes;
    return PageSet((page_count + pages_per_word - 1) / pages_per_word);
}

std::uint64_t count_pages(std::span<const std::uint64_t> pages) noexcept {
    return std::accumulate(pages.begin(), pages.end(), std::uint64_t{0},
                           [](std::uint64_t sum, std::uint64_t word) {
                               return sum + static_cast<std::uint64_t>(std::popcount(word));
                           });
}

PageSet touched_pages(const machine::GuestMemory& memory) {
    PageSet pages = empty_set(memory.size_bytes());
    if (memory.fd() < 0) {
        add(pages, 0, memory.size_bytes() / page_bytes);
        return pages;
    }
    for (std::uint64_t at = 0; at < memory.size_bytes();) {
        const std::uint64_t from = seek(memory, at, SEEK_DATA);
        const std::uint64_t end =
            from < memory.size_bytes() ? seek(memory, from, SEEK_HOLE) : memory.size_bytes();
        add(pages, from / page_bytes,
            (std::min(end, memory.size_bytes()) + page_bytes - 1) / page_bytes);
        at = std::max(end, at + page_bytes);
    }
    return pages;
}

}  // namespace shoal::migration
