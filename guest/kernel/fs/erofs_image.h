// ErofsImage: reads an EROFS image: inodes, the places of files' bytes, names in directories.
//
// The image is hostile: every number is checked before it is used. What is wrong with an image is
// Errno::uclean; what a disk cannot read Errno::io.
#pragma once

#include <expected>
#include <string_view>

#include "guest/kernel/fs/block_cache.h"
#include "guest/kernel/fs/erofs_layout.h"
#include "guest/kernel/fs/inode.h"
#include "guest/kernel/fs/lower_bytes.h"

namespace shoal::guest {

// An inode of the image, checked.
struct ErofsInode {
    std::uint64_t nid = 0;
    erofs::Layout layout = erofs::Layout::flat_plain;
    std::uint32_t mode = 0;  // of a known type
    std::uint32_t link_count = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t start = 0;    // first block, device number or chunk format
    std::uint64_t size = 0;     // at most FileData::size_max
    std::uint64_t tail_at = 0;  // offset in the image of what follows inode and xattrs
    Timestamp modified{};

    [[nodiscard]] FileType type() const { return static_cast<FileType>(mode & file_type_mask); }
};

struct ErofsName {
    std::string_view name{};  // neither "." nor ".."; valid until the next call
    std::uint64_t nid = 0;
};

class ErofsNameVisitor {
public:
    [[nodiscard]] virtual Result<void> visit(const ErofsName& name) = 0;

protected:
    ~ErofsNameVisitor() = default;
};

class ErofsImage {
public:
    // Borrows the cache. Reads the superblock; the error is a phrase that says what is wrong.
    [[nodiscard]] static std::expected<ErofsImage, const char*> open(BlockCache& cache);

    [[nodiscard]] std::uint64_t root_nid() const noexcept { return root_nid_; }
    [[nodiscard]] Result<ErofsInode> inode(std::uint64_t nid) const;

    // Bytes of a file from `offset`, which is less than its size, to the end of their block at
    // most.
    [[nodiscard]] Result<Piece> piece_at(const ErofsInode& inode, std::uint64_t offset,
                                         ReadAhead& ahead) const;
    // Reads the block with the file's byte `offset`, while other threads run: a hint.
    void bring_in(const ErofsInode& inode, std::uint64_t offset, ReadAhead& ahead) const;
    // As LowerBytes::keep_page().
    [[nodiscard]] const void* keep_page(const ErofsInode& inode, std::uint64_t index,
                                        ReadAhead& ahead) const;
    // Copies whole pieces; Errno::uclean if the file is shorter.
    [[nodiscard]] Result<void> read(const ErofsInode& inode, std::uint64_t offset,
                                    std::span<std::byte> to) const;

    // Errno::noent; names are sorted in the image, and one that is not where it should be is not
    // found.
    [[nodiscard]] Result<std::uint64_t> find_name(const ErofsInode& directory,
                                                  std::string_view name) const;
    // All of them, in the image's order. Stops at the visitor's error.
    [[nodiscard]] Result<void> visit_names(const ErofsInode& directory,
                                           ErofsNameVisitor& visitor) const;

private:
    static constexpr std::uint64_t block_bytes = BlockCache::block_bytes;
    static constexpr std::uint64_t hole = UINT64_MAX;

    ErofsImage(BlockCache& cache, const erofs::Superblock& superblock) noexcept;

    template <class T>
    [[nodiscard]] Result<T> read_at(std::uint64_t offset) const;
    [[nodiscard]] Result<void> copy(std::uint64_t offset, std::span<std::byte> to) const;
    // The disk's block with the file's block `index`.
    [[nodiscard]] Result<std::uint64_t> block_of(const ErofsInode& inode,
                                                 std::uint64_t index) const;
    [[nodiscard]] Result<std::uint64_t> chunk_start(const ErofsInode& inode,
                                                    std::uint64_t chunk) const;
    [[nodiscard]] static bool is_inline(const ErofsInode& inode, std::uint64_t index) noexcept;
    [[nodiscard]] std::uint64_t read_ahead_end(const ErofsInode& inode, std::uint64_t index,
                                               std::uint64_t block) const noexcept;

    BlockCache* cache_;
    std::uint64_t root_nid_;
    std::uint64_t metadata_start_;  // bytes
    std::uint64_t block_count_;
    Timestamp build_time_;
};

}  // namespace shoal::guest
