// OpenFile: what a file descriptor refers to (POSIX's open file description): a file, how it was
// opened, and a position. Shared by the descriptors that dup() makes.
#pragma once

#include <vector>

#include "guest/kernel/fs/directory.h"
#include "guest/kernel/sched/turn.h"

namespace shoal::guest {

class EpollItem;

// As <asm-generic/fcntl.h> has them.
namespace open_flags {
inline constexpr std::uint32_t access_mask = 03;
inline constexpr std::uint32_t read_only = 0;
inline constexpr std::uint32_t write_only = 01;
inline constexpr std::uint32_t read_write = 02;
inline constexpr std::uint32_t create = 0100;
inline constexpr std::uint32_t exclusive = 0200;
inline constexpr std::uint32_t truncate = 01000;
inline constexpr std::uint32_t append = 02000;
inline constexpr std::uint32_t nonblock = 04000;
inline constexpr std::uint32_t async = 020000;
inline constexpr std::uint32_t direct = 040000;
inline constexpr std::uint32_t large_file = 0100000;
inline constexpr std::uint32_t directory = 0200000;
inline constexpr std::uint32_t no_follow = 0400000;
inline constexpr std::uint32_t no_atime = 01000000;
inline constexpr std::uint32_t close_on_exec = 02000000;
inline constexpr std::uint32_t path = 010000000;
inline constexpr std::uint32_t temporary = 020000000;  // O_TMPFILE without O_DIRECTORY
// What fcntl(F_SETFL) may change.
inline constexpr std::uint32_t changeable = append | nonblock | direct | no_atime | async;
}  // namespace open_flags

class OpenFile {
public:
    // Opens the entry's file: Errno::nxio for a device that does not exist, Errno::nomem. `flags`
    // are those of open(2), of which only access mode and status flags are kept.
    [[nodiscard]] static Result<Ref<OpenFile>> open(EntryRef entry, std::uint32_t flags);
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    [[nodiscard]] Entry& entry() const noexcept { return *entry_; }
    [[nodiscard]] const EntryRef& entry_ref() const noexcept { return entry_; }
    [[nodiscard]] Inode& inode() const noexcept { return entry_->inode(); }
    [[nodiscard]] bool may_read() const noexcept;
    [[nodiscard]] bool may_write() const noexcept;
    [[nodiscard]] bool has(std::uint32_t flag) const noexcept { return (flags & flag) != 0; }

    std::uint32_t flags;
    std::uint64_t position = 0;
    Turn turn{};                  // of who moves the position of a file on a disk
    std::vector<char> content{};  // of a file of /proc, as it was when its start was read
    // Of /dev/clone: which load of the microVM the opener knew, and whether the next one's words
    // are in `content`.
    std::uint64_t generation = 0;
    bool has_words = false;
    EpollItem* epoll_items = nullptr;  // who watches it: epoll.h

    void retain() noexcept { ++references_; }
    void release() noexcept;

private:
    OpenFile(EntryRef entry, std::uint32_t the_flags) noexcept
        : flags{the_flags}, entry_{std::move(entry)} {}
    ~OpenFile() = default;

    EntryRef entry_;
    std::uint32_t references_ = 0;
    bool is_open_ = false;
};

using OpenFileRef = Ref<OpenFile>;

}  // namespace shoal::guest
