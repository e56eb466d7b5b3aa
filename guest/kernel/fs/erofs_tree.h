// ErofsTree: an EROFS image as part of the file system's tree, under the files in memory.
//
// There is one tree, in memory, and the image fills it as far as it is used: a name is looked up
// when a path goes through it, a directory is completed before the first of its names is listed,
// removed or moved. From then on the tree alone counts, so a removed name needs no whiteout and a
// directory that is moved no redirection; and a file that is written takes a page of memory for
// each page that was written. Nothing is ever written to the disk.
//
// Hard links stay links of one file also when that is written. Inodes that were used stay in
// memory.
#pragma once

#include <memory>

#include "guest/kernel/fs/device_files.h"
#include "guest/kernel/fs/erofs_image.h"

namespace shoal::guest {

class ErofsTree {
public:
    // Borrows both, and lives as long as the files do.
    ErofsTree(const ErofsImage& image, FileSystem& file_system, Devices& devices) noexcept
        : image_{image}, file_system_{file_system}, devices_{devices} {}
    ErofsTree(const ErofsTree&) = delete;
    ErofsTree& operator=(const ErofsTree&) = delete;

    [[nodiscard]] const ErofsImage& image() const noexcept { return image_; }
    // The file with this number: the same one for all names of a file. Errno::uclean, also for a
    // directory that has a name already: it would be its own parent, or have two.
    [[nodiscard]] Result<InodeRef> file(std::uint64_t nid);

private:
    struct Slot {
        std::uint64_t nid = 0;
        InodeRef inode{};
    };

    [[nodiscard]] Result<InodeRef> make(const ErofsInode& inode);
    [[nodiscard]] Result<InodeRef> make_symlink(const ErofsInode& inode);
    [[nodiscard]] InodeRef make_special(const ErofsInode& inode);
    [[nodiscard]] Slot& probe(std::uint64_t nid);
    [[nodiscard]] bool grow();

    const ErofsImage image_;
    FileSystem& file_system_;
    Devices& devices_;
    // Files with several names, and directories. A power of two; at most half full.
    std::unique_ptr<Slot[]> known_{};
    std::size_t known_size_ = 0;
    std::size_t known_count_ = 0;
};

// Makes the image's root directory the root. Precondition: the file system is empty.
[[nodiscard]] Result<void> mount_erofs(FileSystem& file_system, ErofsTree& tree);

}  // namespace shoal::guest
