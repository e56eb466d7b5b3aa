// Some of a file's bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace shoal::state {

// Fewer than `size_bytes` where the file ends before. Throws std::system_error.
[[nodiscard]] std::vector<std::byte> read_at(int fd, std::uint64_t offset, std::size_t size_bytes);
[[nodiscard]] std::uint64_t file_size_bytes(int fd);

}  // namespace shoal::state
