// What a memory file says of itself that has the difference to another one: which pages it has.
// As `shoal-vmm` writes it behind the memory (vmm/state/memory_mark.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace shoal::checkpoints {

// 64 to a word, the lowest bit first. `mark`: all that stands behind a memory of so many bytes, a
// multiple of a page. Nothing: it is no difference.
[[nodiscard]] std::optional<std::vector<std::uint64_t>> pages_in_mark(
    std::span<const std::byte> mark, std::uint64_t memory_bytes);

// Of a file. Throws std::system_error, and std::runtime_error when it has no difference to a memory
// of so many bytes.
[[nodiscard]] std::vector<std::uint64_t> pages_of_difference(const std::string& path,
                                                             std::uint64_t memory_bytes);

}  // namespace shoal::checkpoints
