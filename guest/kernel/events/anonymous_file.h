// AnonymousFile: a file that a system call makes and that never has a name (Linux's anon_inodefs).
#pragma once

#include <string_view>

#include "guest/kernel/fs/file_system.h"
#include "guest/kernel/fs/open_file.h"

namespace shoal::guest {

class AnonymousFile : public Inode {
public:
    enum class Kind { epoll, event, inotify, signal, timer };

    explicit AnonymousFile(Kind kind) noexcept : Inode{FileType::anonymous, 0600}, kind_{kind} {
        attributes.link_count = 1;
    }
    [[nodiscard]] Kind kind() const noexcept { return kind_; }
    [[nodiscard]] Seek seek() const noexcept override { return Seek::refused; }
    [[nodiscard]] WaitQueue* wait_queue(const OpenFile&) noexcept override { return &waiters_; }

protected:
    [[nodiscard]] WaitQueue& waiters() noexcept { return waiters_; }

private:
    Kind kind_;
    WaitQueue waiters_;
};

// The inode as a T, which has a static `kind`; nullptr if it is something else.
template <class T>
[[nodiscard]] T* anonymous_cast(Inode& inode) noexcept {
    // SAFETY: only AnonymousFile makes inodes of this type, and every kind is one class.
    if (inode.type() != FileType::anonymous ||
        static_cast<AnonymousFile&>(inode).kind() != T::file_kind) {
        return nullptr;
    }
    return static_cast<T*>(&inode);
}

// Opens a new file; `name` is what /proc/self/fd shows. `flags`: access mode and O_NONBLOCK.
// Errno::nomem.
[[nodiscard]] Result<OpenFileRef> open_anonymous(const InodeRef& inode, std::string_view name,
                                                 std::uint32_t flags);

}  // namespace shoal::guest
