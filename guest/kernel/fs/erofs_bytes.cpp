// EROFS: where the bytes of files lie.
#include <algorithm>
#include <cstring>

#include "guest/kernel/fs/erofs_image.h"

namespace shoal::guest {

using namespace erofs;

// The last block of a file may lie behind its inode.
bool ErofsImage::is_inline(const ErofsInode& inode, std::uint64_t index) noexcept {
    return inode.layout == Layout::flat_inline && index == (inode.size - 1) / block_bytes;
}

Result<std::uint64_t> ErofsImage::chunk_start(const ErofsInode& inode, std::uint64_t chunk) const {
    const bool has_indexes = (inode.start & chunk_indexes) != 0;
    const std::uint64_t unit = has_indexes ? sizeof(ChunkIndex) : sizeof(std::uint32_t);
    std::uint64_t at = 0;
    if (__builtin_mul_overflow(chunk, unit, &at) ||
        __builtin_add_overflow(at, (inode.tail_at + unit - 1) & ~(unit - 1), &at)) {
        return fail(Errno::uclean);
    }
    std::uint32_t block = 0;
    if (has_indexes) {
        ChunkIndex index{};
        const auto copied = copy(at, std::as_writable_bytes(std::span{&index, 1}));
        if (!copied || index.device != 0) {
            return fail(copied ? Errno::uclean : copied.error());
        }
        block = index.block;
    } else {
        const auto copied = copy(at, std::as_writable_bytes(std::span{&block, 1}));
        if (!copied) {
            return fail(copied.error());
        }
    }
    return block == chunk_hole ? hole : block;
}

Result<std::uint64_t> ErofsImage::block_of(const ErofsInode& inode, std::uint64_t index) const {
    std::uint64_t block = std::uint64_t{inode.start} + index;
    if (inode.layout == Layout::chunk_based) {
        const std::uint32_t bits = inode.start & chunk_bits_mask;
        const auto start = chunk_start(inode, index >> bits);
        if (!start || *start == hole) {
            return start;
        }
        block = *start + (index & ((1ULL << bits) - 1));
    }
    return block < block_count_ ? Result<std::uint64_t>{block} : fail(Errno::uclean);
}

// Behind the block the file goes on here, as far as that is known without reading more.
std::uint64_t ErofsImage::read_ahead_end(const ErofsInode& inode, std::uint64_t index,
                                         std::uint64_t block) const noexcept {
    const std::uint64_t whole = inode.layout == Layout::flat_inline
                                    ? inode.size / block_bytes
                                    : (inode.size + block_bytes - 1) / block_bytes;
    std::uint64_t rest = whole - index;
    if (inode.layout == Layout::chunk_based) {
        const std::uint64_t in_chunk = 1ULL << (inode.start & chunk_bits_mask);
        rest = std::min(rest, in_chunk - (index & (in_chunk - 1)));
    }
    return std::min(block_count_, block + std::min(rest, block_count_));
}

Result<Piece> ErofsImage::piece_at(const ErofsInode& inode, std::uint64_t offset,
                                   ReadAhead& ahead) const {
    const std::uint64_t index = offset / block_bytes;
    std::uint64_t within = offset % block_bytes;
    const std::size_t count = std::min<std::uint64_t>(block_bytes - within, inode.size - offset);
    if (is_inline(inode, index)) {
        // The tail does not cross a block's end.
        within += inode.tail_at % block_bytes;
        if (within + count > block_bytes || inode.tail_at / block_bytes >= block_count_) {
            return fail(Errno::uclean);
        }
        ReadAhead single;
        const auto block = cache_->find(inode.tail_at / block_bytes, 0, single);
        return block ? Result<Piece>{{*block + within, count}} : fail(block.error());
    }
    const auto at = block_of(inode, index);
    if (!at) {
        return fail(at.error());
    }
    if (*at == hole) {
        return Piece{nullptr, count};
    }
    const auto block = cache_->find(*at, read_ahead_end(inode, index, *at), ahead);
    return block ? Result<Piece>{{*block + within, count}} : fail(block.error());
}

void ErofsImage::bring_in(const ErofsInode& inode, std::uint64_t offset, ReadAhead& ahead) const {
    const std::uint64_t index = offset / block_bytes;
    if (is_inline(inode, index)) {
        ReadAhead single;
        cache_->bring_in(inode.tail_at / block_bytes, 0, single);
    } else if (const auto at = block_of(inode, index); at && *at != hole) {
        cache_->bring_in(*at, read_ahead_end(inode, index, *at), ahead);
    }
}

const void* ErofsImage::keep_page(const ErofsInode& inode, std::uint64_t index,
                                  ReadAhead& ahead) const {
    const auto at = is_inline(inode, index) ? Result<std::uint64_t>{hole} : block_of(inode, index);
    if (!at || *at == hole) {
        return nullptr;
    }
    const auto block = cache_->keep(*at, read_ahead_end(inode, index, *at), ahead);
    return block ? *block : nullptr;
}

Result<void> ErofsImage::read(const ErofsInode& inode, std::uint64_t offset,
                              std::span<std::byte> to) const {
    ReadAhead ahead{.next = inode.start};
    while (!to.empty()) {
        if (offset >= inode.size) {
            return fail(Errno::uclean);
        }
        const auto piece = piece_at(inode, offset, ahead);
        if (!piece) {
            return fail(piece.error());
        }
        const std::size_t count = std::min(piece->size, to.size());
        if (piece->data == nullptr) {
            std::memset(to.data(), 0, count);
        } else {
            std::memcpy(to.data(), piece->data, count);
        }
        to = to.subspan(count);
        offset += count;
    }
    return {};
}

}  // namespace shoal::guest
