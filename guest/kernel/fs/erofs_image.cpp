// EROFS: superblock and inodes.
#include "guest/kernel/fs/erofs_image.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "guest/kernel/fs/file_data.h"

namespace shoal::guest {

using namespace erofs;

namespace {

// Castagnoli's, reflected, without the final inversion; over the block from the superblock on.
std::uint32_t crc32c(std::span<const std::byte> bytes) {
    std::uint32_t crc = 0xFFFF'FFFF;
    for (const std::byte byte : bytes) {
        crc ^= std::to_integer<std::uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F6'3B78 : 0);
        }
    }
    return crc;
}

bool has_right_checksum(const std::byte* block, std::uint32_t expected) {
    std::array<std::byte, BlockCache::block_bytes - superblock_offset> copy;
    std::memcpy(copy.data(), block + superblock_offset, copy.size());
    std::memset(copy.data() + offsetof(Superblock, checksum), 0, sizeof expected);
    return crc32c(copy) == expected;
}

template <class OnDisk>
void take_common(ErofsInode& inode, const OnDisk& raw) {
    inode.layout = static_cast<Layout>((raw.format >> 1) & 7U);
    inode.mode = raw.mode;
    inode.link_count = raw.link_count;
    inode.uid = raw.uid;
    inode.gid = raw.gid;
    inode.start = raw.start;
    inode.size = raw.size;
    inode.tail_at += sizeof raw + xattr_bytes(raw.xattr_count);
}

}  // namespace

std::expected<ErofsImage, const char*> ErofsImage::open(BlockCache& cache) {
    ReadAhead single;
    const auto first = cache.find(0, 0, single);
    if (!first) {
        return std::unexpected(first.error() == Errno::uclean ? "the disk is too small"
                                                              : "it cannot be read");
    }
    Superblock superblock;
    std::memcpy(&superblock, *first + superblock_offset, sizeof superblock);
    if (superblock.magic != magic) {
        return std::unexpected("it is no EROFS image");
    }
    if (superblock.block_bits != 12 || superblock.directory_block_bits != 0) {
        return std::unexpected("its blocks are not of 4 KiB");
    }
    if ((superblock.feature_compat & compat_checksum) != 0 &&
        !has_right_checksum(*first, superblock.checksum)) {
        return std::unexpected("its superblock is damaged");
    }
    if ((superblock.feature_incompat & incompat_compression) != 0) {
        return std::unexpected("it is compressed: make it by mkfs.erofs without -z");
    }
    if ((superblock.feature_incompat & ~incompat_known) != 0 || superblock.extra_devices != 0) {
        return std::unexpected("it has features that are not known here");
    }
    if (superblock.block_count > cache.block_count()) {
        return std::unexpected("it is truncated");
    }
    return ErofsImage{cache, superblock};
}

ErofsImage::ErofsImage(BlockCache& cache, const Superblock& superblock) noexcept
    : cache_{&cache},
      root_nid_{superblock.root_nid},
      metadata_start_{std::uint64_t{superblock.metadata_block} * block_bytes},
      block_count_{superblock.block_count},
      build_time_{static_cast<std::int64_t>(superblock.build_time_s), superblock.build_time_ns} {}

Result<void> ErofsImage::copy(std::uint64_t offset, std::span<std::byte> to) const {
    while (!to.empty()) {
        const std::uint64_t within = offset % block_bytes;
        const std::size_t count = std::min<std::size_t>(to.size(), block_bytes - within);
        if (offset / block_bytes >= block_count_) {
            return fail(Errno::uclean);
        }
        ReadAhead single;
        const auto block = cache_->find(offset / block_bytes, 0, single);
        if (!block) {
            return fail(block.error());
        }
        std::memcpy(to.data(), *block + within, count);
        to = to.subspan(count);
        offset += count;
    }
    return {};
}

template <class T>
Result<T> ErofsImage::read_at(std::uint64_t offset) const {
    T value{};
    const auto copied = copy(offset, std::as_writable_bytes(std::span{&value, 1}));
    return copied ? Result<T>{value} : fail(copied.error());
}

Result<ErofsInode> ErofsImage::inode(std::uint64_t nid) const {
    // What lies beyond the image is refused by copy(); here the sum must not wrap.
    if (nid >= (block_count_ * block_bytes) / inode_slot_bytes) {
        return fail(Errno::uclean);
    }
    ErofsInode inode{.nid = nid, .tail_at = metadata_start_ + nid * inode_slot_bytes};
    const auto compact = read_at<CompactInode>(inode.tail_at);
    if (!compact) {
        return fail(compact.error());
    }
    if ((compact->format & ~format_known) != 0) {
        return fail(Errno::uclean);
    }
    if ((compact->format & format_extended) == 0) {
        inode.modified = build_time_;
        take_common(inode, *compact);
    } else {
        const auto extended = read_at<ExtendedInode>(inode.tail_at);
        if (!extended) {
            return fail(extended.error());
        }
        inode.modified = {static_cast<std::int64_t>(extended->mtime_s), extended->mtime_ns};
        take_common(inode, *extended);
    }
    const bool is_readable =
        inode.layout == Layout::flat_plain || inode.layout == Layout::flat_inline ||
        (inode.layout == Layout::chunk_based && inode.type() == FileType::regular &&
         (inode.start & ~chunk_known) == 0);
    if (!is_readable || !is_known_type(inode.mode) || inode.size > FileData::size_max ||
        inode.link_count == 0 || inode.modified.nanoseconds >= 1'000'000'000) {
        return fail(Errno::uclean);
    }
    return inode;
}

}  // namespace shoal::guest
