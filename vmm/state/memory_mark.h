// MemoryMark: what stands behind the memory in a memory file: whose memory it is, and whether it is
// all of it.
//
//   SHOALMEM, id                            all of the memory
//   SHOALDIF, id, id of the base, bitmap    the pages in the bitmap; the others are the base's
//
// An id has 16 bytes; the bitmap is as vmm/machine/page_set.h counts, in little-endian words. That
// the other pages are holes is not enough: some file systems make data of a hole's edge.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "vmm/machine/page_set.h"

namespace shoal::state {

// Random: which memory file belongs to a state file.
using SnapshotId = std::array<std::byte, 16>;

// What makes the memory of one snapshot of another's.
struct Difference {
    SnapshotId base{};
    vmm::PageSet pages;
};

struct MemoryMark {
    SnapshotId id{};
    std::optional<Difference> difference;  // nothing: all of the memory is there
};

[[nodiscard]] std::vector<std::byte> encode(const MemoryMark& mark);
// Of all bytes behind a memory of so many. Nothing: they are no mark.
[[nodiscard]] std::optional<MemoryMark> parse_mark(std::span<const std::byte> bytes,
                                                   std::uint64_t memory_bytes);

// Of an open file; throws std::system_error when it cannot be read.
[[nodiscard]] std::optional<MemoryMark> read_mark(int fd, std::uint64_t memory_bytes);
// The memory that the file is of, if all of it is there. A multiple of the page size.
[[nodiscard]] std::optional<std::uint64_t> whole_memory_bytes(int fd);

}  // namespace shoal::state
