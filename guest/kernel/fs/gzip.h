// Gzip: an archive that is compressed (RFC 1952) is inflated before it is read.
#pragma once

#include <expected>
#include <span>

#include "guest/kernel/fs/cpio.h"

namespace shoal::guest {

[[nodiscard]] bool is_gzip(std::span<const std::byte> bytes) noexcept;

// Contiguous memory for `size_bytes` bytes, not given back; nullptr when there is not so much.
using ContiguousFunction = void* (*)(std::size_t size_bytes);

// Inflates a single gzip member that ends where `compressed` ends. Its trailer says how large the
// result is, and that much memory is asked for; data that inflates to more or to less, or has a
// wrong checksum, is an error.
//
// In the guest: libz is compiled with the stack protector and vector registers. The FS base must
// point to readable memory (48 bytes), and no program may have state in the vector registers.
[[nodiscard]] std::expected<std::span<const std::byte>, ArchiveError> inflate_gzip(
    std::span<const std::byte> compressed, ContiguousFunction allocate);

}  // namespace shoal::guest
