// OpenFile: opening and closing.
#include "guest/kernel/fs/open_file.h"

#include <new>

#include "guest/kernel/events/epoll.h"

namespace shoal::guest {

Result<OpenFileRef> OpenFile::open(EntryRef entry, std::uint32_t flags) {
    constexpr std::uint32_t kept = open_flags::access_mask | open_flags::changeable |
                                   open_flags::path | open_flags::large_file |
                                   open_flags::directory | open_flags::no_follow;
    OpenFileRef file{new (std::nothrow_t{}) OpenFile(std::move(entry), flags & kept)};
    if (!file) {
        return fail(Errno::nomem);
    }
    if (!file->has(open_flags::path)) {
        if (const auto opened = file->inode().opened(*file); !opened) {
            return fail(opened.error());
        }
        file->is_open_ = true;
    }
    return file;
}

bool OpenFile::may_read() const noexcept {
    return (flags & open_flags::access_mask) != open_flags::write_only && !has(open_flags::path);
}

bool OpenFile::may_write() const noexcept {
    return (flags & open_flags::access_mask) != open_flags::read_only && !has(open_flags::path);
}

void OpenFile::release() noexcept {
    if (--references_ != 0) {
        return;
    }
    EpollItem::forget(*this);
    inode().release_locks(this);
    if (is_open_) {
        inode().closed(*this);
    }
    delete this;
}

}  // namespace shoal::guest
