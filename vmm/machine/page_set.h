// Sets of pages as bitmaps: page 64 * n + b of the memory file, or of a drive, is bit b of word n.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "devices/machine/guest_memory.h"

namespace shoal::vmm {

inline constexpr std::uint64_t pages_per_word = 64;

using PageSet = std::vector<std::uint64_t>;

// Neighbours.
struct PageRange {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
};

// Of so many bytes; the last page may not be whole.
[[nodiscard]] PageSet empty_set(std::uint64_t size_bytes);
[[nodiscard]] std::uint64_t count_pages(std::span<const std::uint64_t> pages) noexcept;
// The first neighbours in the set from page `at` on.
[[nodiscard]] std::optional<PageRange> next_range(std::span<const std::uint64_t> pages,
                                                  std::uint64_t at) noexcept;
// Pages within it.
void add_range(PageSet& pages, PageRange range) noexcept;
// Both are of one memory.
void add_pages(PageSet& pages, std::span<const std::uint64_t> more) noexcept;

// The pages that may hold something else than zeros, found without touching the others. May be
// taken while the guest runs: what it touches meanwhile is in a log that was started before. Throws
// std::system_error.
[[nodiscard]] PageSet touched_pages(const machine::GuestMemory& memory);
// The pages that this process has in its page tables: its threads, its devices or its guest have
// touched them, or the kernel has put them beside one of those. Throws std::system_error.
[[nodiscard]] PageSet mapped_pages(const machine::GuestMemory& memory);
// Of a memory that was made private (GuestMemory::make_private()), while no other process has it:
// gives the host what the memfd has of pages that the memory has copies of, so that it takes its
// size once and not twice. The guest may run. Throws std::system_error.
void free_replaced(const machine::GuestMemory& memory);
// Of a file or a block device: all but holes.
[[nodiscard]] PageSet pages_with_data(int fd, std::uint64_t size_bytes);

}  // namespace shoal::vmm
