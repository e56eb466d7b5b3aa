// EROFS on the disk (Linux, Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h), as far as
// it is not compressed. Little endian.
#pragma once

#include <cstdint>

namespace shoal::guest::erofs {

inline constexpr std::uint64_t superblock_offset = 1024;
inline constexpr std::uint32_t magic = 0xE0F5'E1E2;

struct Superblock {
    std::uint32_t magic;
    std::uint32_t checksum;
    std::uint32_t feature_compat;
    std::uint8_t block_bits;
    std::uint8_t extension_slots;
    std::uint16_t root_nid;
    std::uint64_t inode_count;
    std::uint64_t build_time_s;
    std::uint32_t build_time_ns;
    std::uint32_t block_count;
    std::uint32_t metadata_block;
    std::uint32_t xattr_block;
    std::uint8_t uuid[16];
    char volume_name[16];
    std::uint32_t feature_incompat;
    std::uint16_t compression;
    std::uint16_t extra_devices;
    std::uint16_t device_table_slot;
    std::uint8_t directory_block_bits;
    std::uint8_t reserved[37];
};
static_assert(sizeof(Superblock) == 128);

inline constexpr std::uint32_t compat_checksum = 1;
// Those that change nothing about what is read here: chunks, shared prefixes of xattr names.
inline constexpr std::uint32_t incompat_known = 0x4 | 0x40;
// Zero padding of LZ4 blocks, and compression's other ways.
inline constexpr std::uint32_t incompat_compression = 0x1 | 0x2 | 0x10 | 0x20;

enum class Layout : std::uint32_t {
    flat_plain = 0,
    compressed_full = 1,
    flat_inline = 2,
    compressed_compact = 3,
    chunk_based = 4,
};

// i_format: bit 0 tells the two kinds of inodes apart, bits 1 to 3 are the layout.
inline constexpr std::uint16_t format_extended = 1;
inline constexpr std::uint16_t format_known = 0xF;

struct CompactInode {
    std::uint16_t format;
    std::uint16_t xattr_count;
    std::uint16_t mode;
    std::uint16_t link_count;
    std::uint32_t size;
    std::uint32_t reserved;
    std::uint32_t start;  // block, device number or chunk format, by type and layout
    std::uint32_t number;
    std::uint16_t uid;
    std::uint16_t gid;
    std::uint32_t reserved2;
};
static_assert(sizeof(CompactInode) == 32);
inline constexpr std::uint64_t inode_slot_bytes = sizeof(CompactInode);

struct ExtendedInode {
    std::uint16_t format;
    std::uint16_t xattr_count;
    std::uint16_t mode;
    std::uint16_t reserved;
    std::uint64_t size;
    std::uint32_t start;
    std::uint32_t number;
    std::uint32_t uid;
    std::uint32_t gid;
    std::uint64_t mtime_s;
    std::uint32_t mtime_ns;
    std::uint32_t link_count;
    std::uint8_t reserved2[16];
};
static_assert(sizeof(ExtendedInode) == 64);

// Behind the inode: a header, and so many words less one.
constexpr std::uint64_t xattr_bytes(std::uint16_t count) {
    return count == 0 ? 0 : 12 + 4 * (count - 1ULL);
}

// `start` of a chunk-based inode.
inline constexpr std::uint32_t chunk_bits_mask = 0x1F;  // log2 of the blocks in a chunk
inline constexpr std::uint32_t chunk_indexes = 0x20;    // ChunkIndex, not only a block number each
inline constexpr std::uint32_t chunk_known = chunk_bits_mask | chunk_indexes;
inline constexpr std::uint32_t chunk_hole = 0xFFFF'FFFF;

struct ChunkIndex {
    std::uint16_t advice;
    std::uint16_t device;
    std::uint32_t block;
};
static_assert(sizeof(ChunkIndex) == 8);

// A directory's blocks start with these, as many as fit before the first name.
struct DirectoryEntry {
    std::uint32_t nid_low;
    std::uint32_t nid_high;
    std::uint16_t name_offset;
    std::uint8_t file_type;
    std::uint8_t reserved;
};
static_assert(sizeof(DirectoryEntry) == 12);

}  // namespace shoal::guest::erofs
