// A working set: the pages of its memory file that a microVM used after a load; of a compressed one
// those it waited for, in that order. It stands beside the memory file, as `<path>.working-set`,
// unless a load names another place: a file of sections (section.h) with the snapshot's id and the
// pages. Nothing but speed is lost with it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vmm/state/memory_mark.h"

namespace shoal::state {

// Numbers of pages of the memory file.
using WorkingSet = std::vector<std::uint32_t>;

// Those of a compressed memory of 64 GiB, by frames (packed_frame_bytes), or 4 GiB of a plain one.
// What comes later is left out.
inline constexpr std::size_t max_working_set_pages = 1 << 20;

[[nodiscard]] std::vector<std::byte> encode_working_set(const SnapshotId& id,
                                                        std::span<const std::uint32_t> pages);
// Empty: it is another snapshot's. Throws StateError for what is no working set of a memory of
// `memory_bytes`.
[[nodiscard]] WorkingSet decode_working_set(std::span<const std::byte> file, const SnapshotId& id,
                                            std::uint64_t memory_bytes);

[[nodiscard]] std::string working_set_beside(const std::string& memory_path);

// Empty: there is none, or another snapshot's, or one that cannot be read, which is logged.
[[nodiscard]] WorkingSet read_working_set(const std::string& path, const SnapshotId& id,
                                          std::uint64_t memory_bytes);
// Durably, or not at all, in place of one that is there. Of two processes at the same time one may
// spoil the other's, which is found when it is read. Throws with one sentence.
void write_working_set(const std::string& path, const SnapshotId& id,
                       std::span<const std::uint32_t> pages);

}  // namespace shoal::state
