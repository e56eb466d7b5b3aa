// The end of a file of zstd frames that tells where each of them lies: zstd's seekable format
// (contrib/seekable_format/zstd_seekable_compression_format.md, 0.1.0), without its checksums: ours
// are in the frames. A reader that does not know it skips it.
//
//   0x184D2A5E, length           a skippable frame
//   packed, plain   each frame   its bytes in the file, and decompressed
//   count, 0, 0x8F92EAB1         how many frames
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace shoal::state {

// In bytes.
struct FrameSizes {
    std::uint32_t packed = 0;
    std::uint32_t plain = 0;
    bool operator==(const FrameSizes&) const = default;
};

inline constexpr std::size_t seek_table_end_bytes = 9;

[[nodiscard]] constexpr std::uint64_t seek_table_bytes(std::uint64_t frame_count) noexcept {
    return 8 + frame_count * 8 + seek_table_end_bytes;
}

[[nodiscard]] std::vector<std::byte> encode_seek_table(std::span<const FrameSizes> frames);

// How many frames the last seek_table_end_bytes of a file promise. Throws StateError: they are no
// end of a seek table.
[[nodiscard]] std::uint32_t read_frame_count(std::span<const std::byte> end);
// The whole table, from its magic number to the end. Throws StateError. That the sizes fit the
// file, or anything, is for others to say.
[[nodiscard]] std::vector<FrameSizes> decode_seek_table(std::span<const std::byte> table);

}  // namespace shoal::state
