// PageSource: what a memory holds that is filled as it is touched (page_filler.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace shoal::vmm {

// Whole pages of the memory file; `offset` is in bytes.
struct Pages {
    std::uint64_t offset = 0;
    std::span<const std::byte> bytes;
};

class PageSource {
public:
    virtual ~PageSource() = default;

    // The page at `offset`, and those around it that come with it. On one thread; the bytes stay
    // until the next call. Throws with one sentence when the page cannot be had.
    [[nodiscard]] virtual Pages read(std::uint64_t offset) = 0;
};

}  // namespace shoal::vmm
