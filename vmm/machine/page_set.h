// Sets of pages as bitmaps: page 64 * n + b of the memory file is bit b of word n.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "devices/machine/guest_memory.h"

namespace shoal::vmm {

using PageSet = std::vector<std::uint64_t>;

// Neighbours.
struct PageRange {
    std::uint64_t first = 0;
    std::uint64_t end = 0;
};

[[nodiscard]] PageSet empty_set(std::uint64_t memory_bytes);
[[nodiscard]] std::uint64_t count_pages(std::span<const std::uint64_t> pages) noexcept;
// The first neighbours in the set from page `at` on.
[[nodiscard]] std::optional<PageRange> next_range(std::span<const std::uint64_t> pages,
                                                  std::uint64_t at) noexcept;
// Both are of one memory.
void add_pages(PageSet& pages, std::span<const std::uint64_t> more) noexcept;

// The pages that may hold something else than zeros, found without touching the others. May be
// taken while the guest runs: what it touches meanwhile is in a log that was started before. Throws
// std::system_error.
[[nodiscard]] PageSet touched_pages(const machine::GuestMemory& memory);

}  // namespace shoal::vmm
