// CRC-32C (Castagnoli), the checksum of state files, of checkpoints and of the migration stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace shoal::host {

// Of `first` with `second` behind it.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> first,
                                   std::span<const std::byte> second = {}) noexcept;

// The same without the CPU's instruction for it: what crc32c() falls back to.
[[nodiscard]] std::uint32_t crc32c_by_table(std::span<const std::byte> first,
                                            std::span<const std::byte> second = {}) noexcept;

}  // namespace shoal::host
