// FileSystem: the tree of names in memory, and the walk from a path to a file.
//
// The program is root, so permission bits are kept and not enforced. Times come from a clock that
// the kernel gives. One vCPU: no locks.
#pragma once

#include <new>
#include <span>
#include <string_view>
#include <utility>

#include "guest/kernel/fs/directory.h"

namespace shoal::guest {

using ClockFunction = Timestamp (*)();

// What happens to a symbolic link at the end of a path.
enum class FollowLast {
    no,  // it is the file, unless a slash follows
    yes,
    never,  // even with a slash: for calls that make or remove a name
};
enum class TrailingSlash { absent, present };

// Where a path leads. `directory` and `name` say where a new file would be made; `directory` is
// empty if the path ends in the root, ".", ".." or a link of /proc, and then `entry` is there.
// `name` points into the path that was walked or into a symbolic link of the tree.
struct Place {
    EntryRef directory{};
    std::string_view name{};
    EntryRef entry{};  // empty when there is no such file
    TrailingSlash trailing_slash = TrailingSlash::absent;
};

enum class RenameMode { replace, no_replace, exchange };

class FileSystem {
public:
    static constexpr unsigned link_depth_max = 40;  // path_resolution(7)

    // Holds an empty root directory. The clock may be asked at any time from now on.
    explicit FileSystem(ClockFunction clock);
    FileSystem(const FileSystem&) = delete;
    FileSystem& operator=(const FileSystem&) = delete;
    ~FileSystem();

    [[nodiscard]] Entry& root() const noexcept { return *root_; }
    [[nodiscard]] Timestamp now() const { return clock_(); }
    [[nodiscard]] std::uint64_t next_number() noexcept { return next_number_++; }
    // Inodes that were made so far: an upper bound of the files that exist.
    [[nodiscard]] std::uint64_t inode_count() const noexcept { return next_number_ - 1; }

    // A new file without a name, with number and times. Empty when memory is gone.
    template <class T, class... Arguments>
    [[nodiscard]] Ref<T> make_inode(Arguments&&... arguments) {
        Ref<T> made{new (std::nothrow_t{}) T(std::forward<Arguments>(arguments)...)};
        if (made) {
            stamp(*made);
        }
        return made;
    }

    // A path that does not exist fails only if a directory on the way is missing. Errno::noent,
    // notdir, loop, nametoolong; Errno::notdir too for an existing file with a trailing slash,
    // which with FollowLast::never is the caller's to refuse.
    [[nodiscard]] Result<Place> walk(Entry& start, std::string_view path, FollowLast follow) const;
    // The file must exist.
    [[nodiscard]] Result<EntryRef> find(Entry& start, std::string_view path,
                                        FollowLast follow = FollowLast::yes) const;
    [[nodiscard]] Result<EntryRef> find(std::string_view path) const { return find(root(), path); }

    // Each changes the times of the directories as Linux does. Errors are those of the system call
    // of that name.
    [[nodiscard]] Result<EntryRef> add(const Place& place, InodeRef inode,
                                       NameMemory memory = NameMemory::copy);
    [[nodiscard]] Result<EntryRef> make_directory(const Place& place, std::uint32_t permissions);
    [[nodiscard]] Result<EntryRef> make_symlink(const Place& place, std::string_view target);
    [[nodiscard]] Result<void> link(Inode& existing, const Place& place);
    [[nodiscard]] Result<void> unlink(const Place& place);
    [[nodiscard]] Result<void> remove_directory(const Place& place);
    [[nodiscard]] Result<void> rename(const Place& from, const Place& to, RenameMode mode);

    // Precondition: nothing was added, and nobody holds the root.
    [[nodiscard]] Result<void> replace_root(InodeRef directory);
    // For the kernel's own use, with paths from the root. `ensure_directory` makes the parents too.
    [[nodiscard]] Result<EntryRef> ensure_directory(std::string_view path);
    // Removes the file or directory with all that is in it; a path that does not exist is no error.
    void remove_tree(std::string_view path);
    // The bytes of a file that lies in the initramfs unchanged, without a copy.
    [[nodiscard]] Result<std::span<const std::byte>> initramfs_bytes(std::string_view path) const;

    // Writes the absolute path into `room` and returns it: " (deleted)" follows when the file has
    // been removed, and a file that never was in the tree has only a name. Errno::range.
    [[nodiscard]] Result<std::string_view> path_of(const Entry& entry, std::span<char> room) const;

private:
    void stamp(Inode& inode);
    void touch(Inode& inode);

    ClockFunction clock_;
    std::uint64_t next_number_ = 1;
    EntryRef root_;
};

}  // namespace shoal::guest
