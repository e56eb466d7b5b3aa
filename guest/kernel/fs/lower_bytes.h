// LowerBytes: a regular file's bytes on a read-only medium, below the pages that were written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "guest/kernel/errno.h"

namespace shoal::guest {

// Bytes in a row; without data for a hole (zeros).
struct Piece {
    const std::byte* data = nullptr;
    std::size_t size = 0;
};

class LowerBytes {
public:
    // From `offset`, which lies in the file, at most to the end of its page of 4096 bytes, at least
    // one. They outlive the next page fault, so that they can be copied to where it happens.
    // Errno::io, uclean, nomem.
    [[nodiscard]] virtual Result<Piece> piece_at(std::uint64_t offset) = 0;
    // The page with this index if all of it lies in the file, at a page boundary of memory and for
    // ever; else nullptr.
    [[nodiscard]] virtual const void* keep_page(std::uint64_t index) noexcept = 0;

protected:
    ~LowerBytes() = default;
};

}  // namespace shoal::guest
