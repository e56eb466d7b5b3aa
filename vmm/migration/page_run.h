// PageRun: neighbouring pages of the guest's memory on the wire. Pages are counted as in the memory
// file: without the hole below 4 GiB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "devices/abi/address_map.h"
#include "vmm/migration/frame.h"

namespace shoal::migration {

inline constexpr std::size_t page_bytes = abi::page_size;
// 256 KiB: long enough to hide the head, short enough to cancel between two.
inline constexpr std::size_t max_run_pages = 64;

struct PageRun {
    std::uint64_t first_page = 0;
    std::uint64_t page_count = 0;
    std::span<const std::byte> bytes;  // of the frame's payload; empty: the pages are zeros
};

// `bytes` are 1 to max_run_pages whole pages.
[[nodiscard]] Frame pages_frame(std::uint64_t first_page, std::span<const std::byte> bytes);
[[nodiscard]] Frame zero_pages_frame(std::uint64_t first_page, std::uint64_t page_count);

// Of a frame of pages or zero pages, which must lie within a memory of `memory_pages`. Borrows the
// frame's payload.
[[nodiscard]] std::expected<PageRun, FrameError> read_page_run(const Frame& frame,
                                                               std::uint64_t memory_pages);

}  // namespace shoal::migration
