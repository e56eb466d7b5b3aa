// CRC-32C (Castagnoli), the checksum of state files and of the migration stream.
#pragma once

#include <boost/crc.hpp>
#include <cstddef>
#include <cstdint>
#include <span>

namespace shoal::state {

// Of `first` with `second` behind it.
[[nodiscard]] inline std::uint32_t crc32c(std::span<const std::byte> first,
                                          std::span<const std::byte> second = {}) {
    boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
    crc.process_bytes(first.data(), first.size());
    crc.process_bytes(second.data(), second.size());
    return crc.checksum();
}

}  // namespace shoal::state
