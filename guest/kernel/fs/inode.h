// Inode: a file without its name. Every kind of file is a class that derives from it.
//
// Counted references: names (Entry), open files and mappings hold them. One vCPU: no locks.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "guest/kernel/errno.h"
#include "guest/kernel/fs/file_locks.h"
#include "guest/kernel/fs/ref.h"
#include "guest/kernel/fs/transfer.h"
#include "guest/kernel/sched/wait_queue.h"

namespace shoal::guest {

class BlockDevice;
class ConsoleFile;
class Directory;
class Entry;
class OpenFile;
class Pipe;
class Socket;

// The type bits of st_mode.
enum class FileType : std::uint32_t {
    anonymous = 0,  // what Linux keeps in anon_inodefs: eventfd, epoll and their like
    fifo = 0010000,
    character_device = 0020000,
    directory = 0040000,
    block_device = 0060000,
    regular = 0100000,
    symlink = 0120000,
    socket = 0140000,
};

inline constexpr std::uint32_t file_type_mask = 0170000;
// Whether an archive or a disk may hold a file of this st_mode's type.
[[nodiscard]] bool is_known_type(std::uint32_t mode) noexcept;
inline constexpr std::uint32_t permission_mask = 07777;

// Since 1970-01-01 UTC.
struct Timestamp {
    std::int64_t seconds = 0;
    std::uint32_t nanoseconds = 0;
};

struct Attributes {
    std::uint32_t permissions = 0;  // within permission_mask
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::uint32_t link_count = 0;
    std::uint32_t device_major = 0;  // of the device that this file is
    std::uint32_t device_minor = 0;
    std::uint64_t number = 0;  // st_ino
    Timestamp accessed{};
    Timestamp modified{};
    Timestamp changed{};
    Timestamp created{};
};

// What an open file is ready for.
struct Readiness {
    enum class Is { no, yes };
    Is readable = Is::yes;
    Is writable = Is::yes;
    Is hung_up = Is::no;
    Is error = Is::no;
    Is peer_closed = Is::no;  // POLLRDHUP: a peer that sends no more
};

enum class Seek { allowed, refused };

class Inode {
public:
    Inode(FileType type, std::uint32_t permissions) noexcept : type_{type} {
        attributes.permissions = permissions & permission_mask;
    }
    Inode(const Inode&) = delete;
    Inode& operator=(const Inode&) = delete;

    [[nodiscard]] FileType type() const noexcept { return type_; }
    [[nodiscard]] std::uint32_t mode() const noexcept {
        return static_cast<std::uint32_t>(type_) | attributes.permissions;
    }
    [[nodiscard]] virtual std::uint64_t size() const noexcept { return 0; }
    // Bytes of memory that the content takes.
    [[nodiscard]] virtual std::uint64_t allocated_bytes() const noexcept { return 0; }

    // Copies content from `offset` into kernel memory, zeros for holes, and returns the count,
    // which is smaller only at the end of the file. 0 for what is not a regular file.
    virtual std::size_t read_at(std::uint64_t offset, std::span<std::byte> to) const;
    // The kernel address of page `index` of a regular file if all of its 4096 bytes lie at a page
    // boundary of memory for ever and never change: in the initramfs, or cached for a disk; else
    // nullptr.
    [[nodiscard]] virtual const void* page_for_read(std::uint64_t index) const noexcept;

    // The same as it is now and after later writes, for a mapping that sees them: of any page of
    // the file, until forget_shared_pages(). nullptr when memory is gone or the disk fails.
    [[nodiscard]] virtual const void* page_for_sharing(std::uint64_t) { return nullptr; }
    // Whether there was ever such a mapping.
    [[nodiscard]] virtual bool is_shared() const noexcept { return false; }

    // Reads from a disk what read_at() and page_for_read() want of these bytes, while other threads
    // run: without, those let them wait. The caller holds a reference.
    virtual void bring_in(std::uint64_t offset, std::uint64_t size_bytes);

    // The bytes of a regular file of the initramfs that was never written; else empty.
    [[nodiscard]] virtual std::span<const std::byte> borrowed_bytes() const noexcept { return {}; }

    // read(2) and write(2) on an open file. Both return the number of bytes that were copied, 0 at
    // the end of the file, and fail only if none were. `offset` means nothing where seek() is
    // refused.
    [[nodiscard]] virtual Result<std::size_t> read(OpenFile& file, std::uint64_t offset,
                                                   Destination& to, std::size_t count);
    [[nodiscard]] virtual Result<std::size_t> write(OpenFile& file, std::uint64_t offset,
                                                    Source& from, std::size_t count);
    [[nodiscard]] virtual Seek seek() const noexcept { return Seek::allowed; }
    [[nodiscard]] virtual Result<void> resize(std::uint64_t size_bytes);
    // fallocate(2), mode 0, without the change of size.
    [[nodiscard]] virtual Result<void> reserve(std::uint64_t offset, std::uint64_t size_bytes);
    // fsync(2). Errno::inval where it has no meaning.
    [[nodiscard]] virtual Result<void> sync();
    // SEEK_DATA and SEEK_HOLE; offset < size().
    [[nodiscard]] virtual std::uint64_t next_data(std::uint64_t offset) const noexcept;
    [[nodiscard]] virtual std::uint64_t next_hole(std::uint64_t offset) const noexcept;

    [[nodiscard]] virtual Result<void> opened(OpenFile& file);
    virtual void closed(OpenFile& file) noexcept;
    [[nodiscard]] virtual Readiness readiness(const OpenFile& file) const;
    // Woken whenever readiness() may have changed; nullptr where it never does. read() and write()
    // that fail with Errno::again are tried again then, unless the file is O_NONBLOCK.
    [[nodiscard]] virtual WaitQueue* wait_queue(const OpenFile&) noexcept { return nullptr; }

    // Bytes that a pipe or a socket holds for its reader.
    [[nodiscard]] virtual std::size_t waiting_bytes() const noexcept { return 0; }

    [[nodiscard]] virtual Directory* as_directory() noexcept { return nullptr; }
    [[nodiscard]] virtual ConsoleFile* as_console() noexcept { return nullptr; }
    [[nodiscard]] virtual Pipe* as_pipe() noexcept { return nullptr; }
    [[nodiscard]] virtual Socket* as_socket() noexcept { return nullptr; }
    [[nodiscard]] virtual BlockDevice* as_disk() noexcept { return nullptr; }
    [[nodiscard]] virtual bool is_vsock() const noexcept { return false; }  // /dev/vsock
    // Where a symbolic link points; empty for other files.
    [[nodiscard]] virtual std::string_view link_target() const noexcept { return {}; }
    // For the links of /proc that lead to a file and not to a path; else empty.
    [[nodiscard]] virtual Ref<Entry> link_entry() const;

    // Whom flock(2) and fcntl(2) gave locks; made at the first of them. Errno::nomem.
    [[nodiscard]] Result<InodeLocks*> locks();
    // An open file or a table of descriptors is closed, which may have owned some.
    void release_locks(const void* owner) noexcept {
        if (locks_ != nullptr) [[unlikely]] {
            locks_->whole.release(owner);
            locks_->ranges.release(owner);
        }
    }

    Attributes attributes;

    void retain() noexcept { ++references_; }
    void release() noexcept {
        if (--references_ == 0) {
            delete this;
        }
    }

protected:
    virtual ~Inode() = default;

private:
    std::uint32_t references_ = 0;
    FileType type_;
    std::unique_ptr<InodeLocks> locks_{};
};

using InodeRef = Ref<Inode>;

// Nobody has a page of page_for_sharing() any more: before pages go, and after others took their
// place. Implemented by the kernel.
void forget_shared_pages(const Inode& file);

}  // namespace shoal::guest
