// PageRun: neighbouring pages of the guest's memory, or of a drive that is copied, on the wire. The
// memory's are counted as in its file: without the hole below 4 GiB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "devices/abi/address_map.h"
#include "vmm/machine/page_set.h"
#include "vmm/migration/frame.h"

namespace shoal::migration {

inline constexpr std::size_t page_bytes = abi::page_size;
// 256 KiB: long enough to hide the head, short enough to cancel between two.
inline constexpr std::size_t max_run_pages = 64;

// 64 KiB: a guest that waits for one page soon wants those beside it.
inline constexpr std::uint64_t max_want_pages = 16;

struct PageRun {
    std::uint64_t first_page = 0;
    std::uint64_t page_count = 0;
    std::span<const std::byte> bytes;         // of the frame's payload; empty: the pages are zeros
    std::optional<std::uint32_t> drive = {};  // which of those that are copied; nothing: the memory
};

// How many pages there are.
struct PageCounts {
    std::uint64_t memory = 0;
    std::vector<std::uint64_t> drives;  // of each that is copied
};

// With bytes: 1 to max_run_pages whole pages.
[[nodiscard]] Frame frame_of(const PageRun& run);

// Of pages of the memory whose bytes come later.
[[nodiscard]] Frame frame_of_missing(std::uint64_t first_page, std::uint64_t page_count);
[[nodiscard]] Frame frame_of_want(vmm::PageRange pages);
// Nothing: it is no want, or not of 1 to max_want_pages pages that there are.
[[nodiscard]] std::optional<vmm::PageRange> read_want(const Frame& frame, std::uint64_t page_count);

// Of a frame of pages, zero pages or missing pages, which must lie within what there is. Borrows
// the frame's payload.
[[nodiscard]] std::expected<PageRun, FrameError> read_page_run(const Frame& frame,
                                                               const PageCounts& counts);

}  // namespace shoal::migration
