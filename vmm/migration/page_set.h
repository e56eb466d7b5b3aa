// Sets of pages as bitmaps: page 64 * n + b of the memory file is bit b of word n.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "devices/machine/guest_memory.h"

namespace shoal::migration {

using PageSet = std::vector<std::uint64_t>;

[[nodiscard]] PageSet empty_set(std::uint64_t memory_bytes);
[[nodiscard]] std::uint64_t count_pages(std::span<const std::uint64_t> pages) noexcept;

// The pages that are anything but untouched; of a private copy of a file: all. May be taken while
// the guest runs: what it touches meanwhile is in a log that was started before.
[[nodiscard]] PageSet touched_pages(const machine::GuestMemory& memory);

}  // namespace shoal::migration
