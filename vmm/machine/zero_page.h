// Whether a page needs no bytes.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

namespace shoal::vmm {

// Not of nothing. A first byte of zero, and each byte like the one before it.
[[nodiscard]] inline bool is_zero(std::span<const std::byte> bytes) noexcept {
    return bytes.front() == std::byte{0} &&
           std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

}  // namespace shoal::vmm
