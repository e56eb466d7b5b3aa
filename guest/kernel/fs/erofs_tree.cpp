// Inodes of the image as files of the tree.
#include "guest/kernel/fs/erofs_tree.h"

#include <algorithm>
#include <memory>
#include <new>

#include "guest/kernel/fs/pipe.h"
#include "guest/kernel/fs/regular_file.h"
#include "guest/kernel/fs/symlink.h"

namespace shoal::guest {
namespace {

class ErofsFile final : public RegularFile, private LowerBytes {
public:
    ErofsFile(const ErofsImage& image, const ErofsInode& inode) noexcept
        : RegularFile{inode.mode, *this, inode.size},
          image_{image},
          inode_{inode},
          ahead_{.next = inode.start} {}

    void bring_in(std::uint64_t offset, std::uint64_t size_bytes) override {
        const std::uint64_t end = size_bytes < inode_.size - std::min(offset, inode_.size)
                                      ? offset + size_bytes
                                      : inode_.size;
        for (; offset < end; offset = (offset / block_bytes + 1) * block_bytes) {
            image_.bring_in(inode_, offset, ahead_);
        }
    }

    // Block by block, so that what was brought in is still there.
    Result<std::size_t> read(OpenFile& file, std::uint64_t offset, Destination& to,
                             std::size_t count) override {
        std::size_t done = 0;
        while (done < count) {
            const std::uint64_t at = offset + done;
            const std::size_t piece =
                std::min<std::uint64_t>(count - done, block_bytes - at % block_bytes);
            bring_in(at, piece);
            const auto read = RegularFile::read(file, at, to, piece);
            if (!read) {
                return done == 0 ? read : Result<std::size_t>{done};
            }
            done += *read;
            if (*read < piece) {
                break;
            }
        }
        return done;
    }

private:
    static constexpr std::uint64_t block_bytes = BlockCache::block_bytes;

    Result<Piece> piece_at(std::uint64_t offset) override {
        return image_.piece_at(inode_, offset, ahead_);
    }
    const void* keep_page(std::uint64_t index) noexcept override {
        return image_.keep_page(inode_, index, ahead_);
    }

    const ErofsImage& image_;
    ErofsInode inode_;
    ReadAhead ahead_;
};

class ErofsDirectory final : public Directory, private ErofsNameVisitor {
public:
    ErofsDirectory(ErofsTree& tree, const ErofsInode& inode) noexcept
        : Directory{inode.mode}, tree_{tree}, inode_{inode} {}

    Result<EntryRef> find(Entry& self, std::string_view name) override {
        auto known = Directory::find(self, name);
        if (known || is_complete_ || known.error() != Errno::noent) {
            return known;
        }
        const auto nid = tree_.image().find_name(inode_, name);
        return nid ? add(self, {name, *nid}) : fail(nid.error());
    }

    Result<void> complete(Entry& self) override {
        if (is_complete_) {
            return {};
        }
        self_ = &self;
        const auto visited = tree_.image().visit_names(inode_, *this);
        is_complete_ = visited.has_value();
        return visited;
    }

private:
    Result<void> visit(const ErofsName& name) override {
        if (Directory::find(*self_, name.name)) {
            return {};
        }
        const auto added = add(*self_, name);
        return added ? Result<void>{} : fail(added.error());
    }

    Result<EntryRef> add(Entry& self, const ErofsName& name) {
        const auto file = tree_.file(name.nid);
        if (!file) {
            return fail(file.error());
        }
        EntryRef entry = Entry::make(&self, name.name, *file);
        if (!entry) {
            return fail(Errno::nomem);
        }
        insert_counted(*entry);
        return entry;
    }

    ErofsTree& tree_;
    ErofsInode inode_;
    Entry* self_ = nullptr;  // while it is completed
    bool is_complete_ = false;
};

// As Linux's new_decode_dev().
std::uint32_t major_of(std::uint32_t device) {
    return (device >> 8) & 0xFFF;
}
std::uint32_t minor_of(std::uint32_t device) {
    return (device & 0xFF) | ((device >> 12) & 0xF'FF00);
}

}  // namespace

Result<InodeRef> ErofsTree::make_symlink(const ErofsInode& inode) {
    if (inode.size == 0 || inode.size >= path_size_max) {
        return fail(Errno::uclean);
    }
    std::unique_ptr<char[]> target{new (std::nothrow_t{}) char[inode.size]};
    if (!target) {
        return fail(Errno::nomem);
    }
    const std::span text{target.get(), static_cast<std::size_t>(inode.size)};
    if (const auto read = image_.read(inode, 0, std::as_writable_bytes(text)); !read) {
        return fail(read.error());
    }
    if (std::ranges::find(text, '\0') != text.end()) {
        return fail(Errno::uclean);
    }
    return InodeRef{file_system_.make_inode<Symlink>(std::move(target), text.size())};
}

InodeRef ErofsTree::make_special(const ErofsInode& inode) {
    if (inode.type() == FileType::fifo) {
        return file_system_.make_inode<Pipe>();
    }
    return devices_.make(inode.type(), inode.mode, major_of(inode.start), minor_of(inode.start));
}

Result<InodeRef> ErofsTree::make(const ErofsInode& inode) {
    InodeRef made;
    switch (inode.type()) {
        case FileType::regular:
            made = file_system_.make_inode<ErofsFile>(image_, inode);
            break;
        case FileType::directory:
            made = file_system_.make_inode<ErofsDirectory>(*this, inode);
            break;
        case FileType::symlink: {
            const auto link = make_symlink(inode);
            if (!link) {
                return link;
            }
            made = *link;
            break;
        }
        case FileType::fifo:
        case FileType::character_device:
        case FileType::block_device:
        case FileType::socket:
            made = make_special(inode);
            break;
        case FileType::anonymous:
            return fail(Errno::uclean);  // refused before (erofs_image.cpp)
    }
    if (!made) {
        return fail(Errno::nomem);
    }
    Attributes& attributes = made->attributes;
    attributes.permissions = inode.mode & permission_mask;
    attributes.uid = inode.uid;
    attributes.gid = inode.gid;
    attributes.link_count = inode.link_count;
    attributes.accessed = attributes.modified = attributes.changed = attributes.created =
        inode.modified;
    return made;
}

Result<InodeRef> ErofsTree::file(std::uint64_t nid) {
    if (known_size_ != 0) {
        const InodeRef& known = probe(nid).inode;
        if (known) {
            return known->type() == FileType::directory ? fail(Errno::uclean)
                                                        : Result<InodeRef>{known};
        }
    }
    const auto inode = image_.inode(nid);
    if (!inode) {
        return fail(inode.error());
    }
    auto made = make(*inode);
    if (made && (inode->link_count > 1 || inode->type() == FileType::directory)) {
        if (2 * (known_count_ + 1) > known_size_ && !grow()) {
            return fail(Errno::nomem);
        }
        probe(nid) = {nid, *made};
        ++known_count_;
    }
    return made;
}

ErofsTree::Slot& ErofsTree::probe(std::uint64_t nid) {
    // An odd multiplier spreads numbers that follow one another.
    for (std::size_t at = nid * 0x9E37'79B9'7F4A'7C15U >> 20;; ++at) {
        Slot& slot = known_[at & (known_size_ - 1)];
        if (!slot.inode || slot.nid == nid) {
            return slot;
        }
    }
}

bool ErofsTree::grow() {
    const std::size_t old_size = known_size_;
    const std::size_t size = std::max<std::size_t>(16, 2 * old_size);
    std::unique_ptr<Slot[]> old{new (std::nothrow_t{}) Slot[size]};
    if (!old) {
        return false;
    }
    old.swap(known_);
    known_size_ = size;
    for (std::size_t i = 0; i < old_size; ++i) {
        if (old[i].inode) {
            probe(old[i].nid) = std::move(old[i]);
        }
    }
    return true;
}

Result<void> mount_erofs(FileSystem& file_system, ErofsTree& tree) {
    const auto root = tree.file(tree.image().root_nid());
    if (!root) {
        return fail(root.error());
    }
    return (*root)->type() == FileType::directory ? file_system.replace_root(*root)
                                                  : fail(Errno::uclean);
}

}  // namespace shoal::guest
