// What is in a memfd or a file, and what this process has of a copy: to look at the rest would fill
// it.
#include "vmm/machine/page_set.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <functional>
#include <numeric>

#include "devices/abi/address_map.h"
#include "devices/host/check.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::vmm {
namespace {

void add(PageSet& pages, std::uint64_t page) noexcept {
    pages[page / pages_per_word] |= std::uint64_t{1} << page % pages_per_word;
}

// The pages of these bytes.
void add(PageSet& pages, std::uint64_t from, std::uint64_t end) noexcept {
    for (std::uint64_t page = from / abi::page_size; page * abi::page_size < end; ++page) {
        add(pages, page);
    }
}

// Where the next data or hole begins, or the end. What cannot tell, as a block device, is all data.
std::uint64_t seek(int fd, std::uint64_t size_bytes, std::uint64_t at, int what) {
    const off_t found = ::lseek(fd, static_cast<off_t>(at), what);
    if (found < 0) {
        return what == SEEK_DATA && errno != ENXIO ? at : size_bytes;
    }
    return std::min(static_cast<std::uint64_t>(found), size_bytes);
}

// Whose entries in the process's page tables are like this
// (Documentation/admin-guide/mm/pagemap.rst).
void add_mapped(const machine::GuestMemory& memory, bool (*is_wanted)(std::uint64_t entry),
                PageSet& pages) {
    const host::UniqueFd file{::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)};
    if (!file) {
        host::throw_os_error("cannot open /proc/self/pagemap");
    }
    // SAFETY: the address as a number.
    const std::uint64_t start =
        reinterpret_cast<std::uintptr_t>(memory.bytes().data()) / abi::page_size;
    const std::uint64_t page_count = memory.size_bytes() / abi::page_size;
    std::array<std::uint64_t, 4096> entries;
    for (std::uint64_t page = 0; page < page_count;) {
        const std::uint64_t wanted = std::min<std::uint64_t>(entries.size(), page_count - page);
        const ssize_t size = ::pread(file.get(), entries.data(), wanted * sizeof entries[0],
                                     static_cast<off_t>((start + page) * sizeof entries[0]));
        if (size < static_cast<ssize_t>(sizeof entries[0])) {
            host::throw_os_error("cannot read /proc/self/pagemap");
        }
        for (std::size_t idx = 0; idx < static_cast<std::size_t>(size) / sizeof entries[0]; ++idx) {
            if (is_wanted(entries[idx])) {
                add(pages, page);
            }
            ++page;
        }
    }
}

bool is_mapped(std::uint64_t entry) {
    constexpr std::uint64_t present_or_swapped = 3ULL << 62;
    return (entry & present_or_swapped) != 0;
}

bool is_own(std::uint64_t entry) {
    constexpr std::uint64_t of_file = 1ULL << 61;
    return is_mapped(entry) && (entry & of_file) == 0;
}

// The first page from `at` on that is in the set, or, with a mask of all ones, is not.
std::uint64_t find(std::span<const std::uint64_t> pages, std::uint64_t at,
                   std::uint64_t mask) noexcept {
    for (std::uint64_t word = at / pages_per_word; word < pages.size(); ++word) {
        std::uint64_t bits = pages[word] ^ mask;
        if (word == at / pages_per_word) {
            bits &= ~std::uint64_t{0} << at % pages_per_word;
        }
        if (bits != 0) {
            return word * pages_per_word + static_cast<std::uint64_t>(std::countr_zero(bits));
        }
    }
    return pages.size() * pages_per_word;
}

}  // namespace

PageSet empty_set(std::uint64_t size_bytes) {
    constexpr std::uint64_t word_bytes = pages_per_word * abi::page_size;
    return PageSet((size_bytes + word_bytes - 1) / word_bytes);
}

std::uint64_t count_pages(std::span<const std::uint64_t> pages) noexcept {
    return std::accumulate(pages.begin(), pages.end(), std::uint64_t{0},
                           [](std::uint64_t sum, std::uint64_t word) {
                               return sum + static_cast<std::uint64_t>(std::popcount(word));
                           });
}

std::optional<PageRange> next_range(std::span<const std::uint64_t> pages,
                                    std::uint64_t at) noexcept {
    const std::uint64_t first = find(pages, at, 0);
    if (first == pages.size() * pages_per_word) {
        return std::nullopt;
    }
    return PageRange{first, find(pages, first, ~std::uint64_t{0})};
}

void add_range(PageSet& pages, PageRange range) noexcept {
    for (std::uint64_t page = range.first; page < range.end; ++page) {
        add(pages, page);
    }
}

void add_pages(PageSet& pages, std::span<const std::uint64_t> more) noexcept {
    SHOAL_CHECK(pages.size() == more.size());
    std::ranges::transform(pages, more, pages.begin(), std::bit_or{});
}

PageSet touched_pages(const machine::GuestMemory& memory) {
    PageSet pages = memory.content_fd() >= 0
                        ? pages_with_data(memory.content_fd(), memory.size_bytes())
                        : empty_set(memory.size_bytes());
    switch (memory.backing()) {
        case machine::Backing::memfd:
            break;
        case machine::Backing::copy_of_memfd:
        case machine::Backing::copy_of_file:  // in the holes of the file, too
        case machine::Backing::huge_pages:
            add_mapped(memory, is_mapped, pages);
            break;
        case machine::Backing::others:
            add(pages, 0, memory.size_bytes());  // they know
            break;
    }
    return pages;
}

PageSet mapped_pages(const machine::GuestMemory& memory) {
    PageSet pages = empty_set(memory.size_bytes());
    add_mapped(memory, is_mapped, pages);
    return pages;
}

// Once a page is the process's own, or was discarded, nobody looks at the memfd's again. What is
// freed already is left alone: KVM would have to look for each page anew.
void free_replaced(const machine::GuestMemory& memory) {
    if (memory.backing() != machine::Backing::copy_of_memfd) {
        return;
    }
    PageSet pages = empty_set(memory.size_bytes());
    memory.take_discarded(pages);
    add_mapped(memory, is_own, pages);
    std::ranges::transform(pages, pages_with_data(memory.content_fd(), memory.size_bytes()),
                           pages.begin(), std::bit_and{});
    for (auto range = next_range(pages, 0); range; range = next_range(pages, range->end)) {
        if (!memory.free_original(range->first * abi::page_size,
                                  (range->end - range->first) * abi::page_size)) {
            host::throw_os_error("cannot free replaced pages of the guest's memory");
        }
    }
}

PageSet pages_with_data(int fd, std::uint64_t size_bytes) {
    PageSet pages = empty_set(size_bytes);
    std::uint64_t from = seek(fd, size_bytes, 0, SEEK_DATA);
    while (from < size_bytes) {
        const std::uint64_t end = std::max(seek(fd, size_bytes, from, SEEK_HOLE), from + 1);
        add(pages, from, end);
        from = seek(fd, size_bytes, end, SEEK_DATA);
    }
    return pages;
}

}  // namespace shoal::vmm
