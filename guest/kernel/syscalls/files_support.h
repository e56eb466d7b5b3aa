// What the system calls about files share: results, paths and vectors in the program's memory.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "guest/kernel/fs/transfer.h"
#include "guest/kernel/syscalls/files.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest::files {

inline constexpr std::size_t transfer_size_max = 0x7FFFF000;  // MAX_RW_COUNT
inline constexpr std::uint32_t vector_count_max = 1024;       // IOV_MAX
inline constexpr std::int32_t at_working_directory = -100;    // AT_FDCWD
inline constexpr std::uint32_t at_symlink_no_follow = 0x100;
inline constexpr std::uint32_t at_effective_ids = 0x200;
inline constexpr std::uint32_t at_remove_directory = 0x200;
inline constexpr std::uint32_t at_symlink_follow = 0x400;
inline constexpr std::uint32_t at_no_automount = 0x800;
inline constexpr std::uint32_t at_empty_path = 0x1000;

// struct timespec of the system call interface.
struct TimeSpec {
    std::int64_t seconds;
    std::int64_t nanoseconds;
};

// How a result becomes what the program gets.
[[nodiscard]] inline std::int64_t result_of(const Result<void>& result) {
    return result ? 0 : negative(result.error());
}
template <class T>
[[nodiscard]] std::int64_t result_of(const Result<T>& result) {
    return result ? static_cast<std::int64_t>(*result) : negative(result.error());
}

// The lower 32 bits, where Linux's argument is an int or unsigned.
[[nodiscard]] inline std::uint32_t low32(std::uint64_t argument) {
    return static_cast<std::uint32_t>(argument);
}

// Where a path starts if the call has no descriptor for it.
inline constexpr auto working_directory = static_cast<std::uint64_t>(at_working_directory);

[[nodiscard]] inline FollowLast follow_of(std::uint32_t flags) {
    return (flags & at_symlink_no_follow) != 0 ? FollowLast::no : FollowLast::yes;
}

template <class T>
[[nodiscard]] bool fetch(T& to, UserAddress from) {
    return copy_from_user(&to, from, sizeof to);
}
template <class T>
[[nodiscard]] std::int64_t store(UserAddress to, const T& value) {
    return copy_to_user(to, &value, sizeof value) ? 0 : negative(Errno::fault);
}

// A path in the program's memory, copied once. Places that were found with it point into it.
class UserPath {
public:
    // `directory` is the descriptor that a relative path starts from.
    [[nodiscard]] Result<Place> walk(const FileContext& context, std::uint64_t directory,
                                     UserAddress path, FollowLast follow);
    // The file, which must exist. With at_empty_path in `flags`, an empty path means the
    // descriptor.
    [[nodiscard]] Result<EntryRef> find(const FileContext& context, std::uint64_t directory,
                                        UserAddress path, FollowLast follow,
                                        std::uint32_t flags = 0);

private:
    [[nodiscard]] Result<std::string_view> fetch_path(UserAddress path);
    [[nodiscard]] Result<EntryRef> start(const FileContext& context, std::uint64_t directory,
                                         std::string_view path) const;

    std::array<char, path_size_max> bytes_;
};

// The file of a descriptor, O_PATH or not. Errno::badf.
[[nodiscard]] Result<EntryRef> entry_of(const FileContext& context, std::uint64_t descriptor);

// One range of the program's memory, or the ranges of an iovec array, in order.
class UserRanges {
public:
    UserRanges(UserAddress address, std::size_t size) noexcept : address_{address}, size_{size} {}
    // Checks the array and adds up `total`, which is at most transfer_size_max.
    [[nodiscard]] static Result<UserRanges> of_vector(UserAddress vector, std::uint64_t count);

    UserRanges() noexcept = default;
    [[nodiscard]] std::size_t total() const noexcept { return total_; }

    struct Range {
        UserAddress address;
        std::size_t size;
    };
    // The next range of at most `wanted` bytes; empty when the array cannot be read any more.
    [[nodiscard]] std::optional<Range> take(std::size_t wanted);

private:
    UserAddress address_ = 0;
    std::size_t size_ = 0;
    UserAddress vector_ = 0;
    std::uint64_t vector_count_ = 0;
    std::size_t total_ = size_;
};

class UserDestination final : public Destination {
public:
    explicit UserDestination(UserRanges ranges) noexcept : ranges_{ranges} {}
    bool put(std::span<const std::byte> bytes) override;
    bool put_zeros(std::size_t count) override;

private:
    UserRanges ranges_;
};

class UserSource final : public Source {
public:
    explicit UserSource(UserRanges ranges) noexcept : ranges_{ranges} {}
    bool get(std::span<std::byte> bytes) override;

private:
    UserRanges ranges_;
};

// What files may still take of the memory.
[[nodiscard]] std::uint64_t file_space_bytes(const FileContext& context);

// Notes a change of content.
void touch(const FileContext& context, Inode& inode);

// write(2) at the file's own position or at `offset`, with O_APPEND and times. Does not wait.
[[nodiscard]] Result<std::size_t> try_write_file(const FileContext& context, OpenFile& file,
                                                 Source& from, std::size_t count,
                                                 std::optional<std::uint64_t> offset);

}  // namespace shoal::guest::files
