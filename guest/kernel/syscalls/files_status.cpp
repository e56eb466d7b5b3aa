// System calls that tell what a file is.
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/stat.h>

#include <cstddef>
#include <cstring>

#include "guest/kernel/syscalls/files_support.h"

namespace shoal::guest {

using namespace files;

namespace {

constexpr std::uint32_t file_system_device = 2;  // 0:2, where Linux has its rootfs
constexpr std::uint32_t block_bytes = 4096;
constexpr std::uint32_t sector_bytes = 512;

// dev_t as stat(2) gives it (Linux, new_encode_dev).
std::uint64_t encode_device(const Attributes& attributes) {
    return (attributes.device_minor & 0xFFU) | attributes.device_major << 8 |
           std::uint64_t{attributes.device_minor & ~0xFFU} << 12;
}

std::int64_t store_stat(UserAddress to, const Inode& inode) {
    const Attributes& attributes = inode.attributes;
    struct stat status {};
    status.st_dev = file_system_device;
    status.st_ino = attributes.number;
    status.st_nlink = attributes.link_count;
    status.st_mode = inode.mode();
    status.st_uid = attributes.uid;
    status.st_gid = attributes.gid;
    status.st_rdev = encode_device(attributes);
    status.st_size = static_cast<__kernel_long_t>(inode.size());
    status.st_blksize = block_bytes;
    status.st_blocks = static_cast<__kernel_long_t>(inode.allocated_bytes() / sector_bytes);
    status.st_atime = static_cast<__kernel_ulong_t>(attributes.accessed.seconds);
    status.st_atime_nsec = attributes.accessed.nanoseconds;
    status.st_mtime = static_cast<__kernel_ulong_t>(attributes.modified.seconds);
    status.st_mtime_nsec = attributes.modified.nanoseconds;
    status.st_ctime = static_cast<__kernel_ulong_t>(attributes.changed.seconds);
    status.st_ctime_nsec = attributes.changed.nanoseconds;
    return store(to, status);
}

statx_timestamp to_statx(const Timestamp& time) {
    statx_timestamp result{};
    result.tv_sec = time.seconds;
    result.tv_nsec = time.nanoseconds;
    return result;
}

std::int64_t store_statx(UserAddress to, const Inode& inode) {
    const Attributes& attributes = inode.attributes;
    struct statx status {};
    status.stx_mask = STATX_BASIC_STATS | STATX_BTIME;
    status.stx_blksize = block_bytes;
    status.stx_nlink = attributes.link_count;
    status.stx_uid = attributes.uid;
    status.stx_gid = attributes.gid;
    status.stx_mode = static_cast<std::uint16_t>(inode.mode());
    status.stx_ino = attributes.number;
    status.stx_size = inode.size();
    status.stx_blocks = inode.allocated_bytes() / sector_bytes;
    status.stx_atime = to_statx(attributes.accessed);
    status.stx_btime = to_statx(attributes.created);
    status.stx_ctime = to_statx(attributes.changed);
    status.stx_mtime = to_statx(attributes.modified);
    status.stx_rdev_major = attributes.device_major;
    status.stx_rdev_minor = attributes.device_minor;
    status.stx_dev_minor = file_system_device;
    return store(to, status);
}

std::int64_t stat_at(FileContext& context, std::uint64_t directory, UserAddress path,
                     UserAddress status, std::uint32_t flags) {
    if ((flags & ~(at_symlink_no_follow | at_no_automount | at_empty_path)) != 0) {
        return negative(Errno::inval);
    }
    UserPath user_path;
    const auto entry = user_path.find(context, directory, path, follow_of(flags), flags);
    return entry ? store_stat(status, (*entry)->inode()) : negative(entry.error());
}

}  // namespace

std::int64_t sys_stat(FileContext& context, const CallArguments& args) {
    return stat_at(context, working_directory, args[0], args[1], 0);
}

std::int64_t sys_lstat(FileContext& context, const CallArguments& args) {
    return stat_at(context, working_directory, args[0], args[1], at_symlink_no_follow);
}

std::int64_t sys_newfstatat(FileContext& context, const CallArguments& args) {
    return stat_at(context, args[0], args[1], args[2], low32(args[3]));
}

std::int64_t sys_fstat(FileContext& context, const CallArguments& args) {
    const auto entry = entry_of(context, args[0]);
    return entry ? store_stat(args[1], (*entry)->inode()) : negative(entry.error());
}

std::int64_t sys_statx(FileContext& context, const CallArguments& args) {
    constexpr std::uint32_t sync_type = 0x6000;  // AT_STATX_SYNC_TYPE
    const std::uint32_t flags = low32(args[2]);
    const std::uint32_t mask = low32(args[3]);
    if ((flags & ~(at_symlink_no_follow | at_no_automount | at_empty_path | sync_type)) != 0 ||
        (flags & sync_type) == sync_type || (mask & STATX__RESERVED) != 0) {
        return negative(Errno::inval);
    }
    UserPath user_path;
    const auto entry = user_path.find(context, args[0], args[1], follow_of(flags), flags);
    return entry ? store_statx(args[4], (*entry)->inode()) : negative(entry.error());
}

namespace {

std::int64_t store_statfs(const FileContext& context, UserAddress to) {
    constexpr __kernel_long_t temporary_file_system = 0x01021994;  // TMPFS_MAGIC
    const auto blocks = [](std::uint64_t bytes) {
        return static_cast<__kernel_long_t>(bytes / block_bytes);
    };
    struct statfs status {};
    status.f_type = temporary_file_system;
    status.f_bsize = block_bytes;
    status.f_frsize = block_bytes;
    status.f_blocks = blocks(context.source.memory_total_bytes());
    status.f_bfree = status.f_bavail = blocks(file_space_bytes(context));
    status.f_files = status.f_blocks;
    status.f_ffree = status.f_bfree;
    status.f_namelen = name_size_max;
    return store(to, status);
}

}  // namespace

std::int64_t sys_statfs(FileContext& context, const CallArguments& args) {
    UserPath user_path;
    const auto entry = user_path.find(context, working_directory, args[0], FollowLast::yes);
    return entry ? store_statfs(context, args[1]) : negative(entry.error());
}

std::int64_t sys_fstatfs(FileContext& context, const CallArguments& args) {
    const auto entry = entry_of(context, args[0]);
    return entry ? store_statfs(context, args[1]) : negative(entry.error());
}

namespace {

// The program is root: everything may be read and written, but only what has an x bit is executed.
std::int64_t access_at(FileContext& context, std::uint64_t directory, UserAddress path,
                       std::uint32_t mode, std::uint32_t flags) {
    constexpr std::uint32_t execute = 1;
    constexpr std::uint32_t all = 7;
    constexpr std::uint32_t execute_bits = 0111;
    if ((mode & ~all) != 0 ||
        (flags & ~(at_effective_ids | at_symlink_no_follow | at_empty_path)) != 0) {
        return negative(Errno::inval);
    }
    UserPath user_path;
    const auto entry = user_path.find(context, directory, path, follow_of(flags), flags);
    if (!entry) {
        return negative(entry.error());
    }
    const Inode& inode = (*entry)->inode();
    const bool is_refused = (mode & execute) != 0 && inode.type() != FileType::directory &&
                            (inode.mode() & execute_bits) == 0;
    return is_refused ? negative(Errno::acces) : 0;
}

}  // namespace

std::int64_t sys_access(FileContext& context, const CallArguments& args) {
    return access_at(context, working_directory, args[0], low32(args[1]), 0);
}

std::int64_t sys_faccessat(FileContext& context, const CallArguments& args) {
    return access_at(context, args[0], args[1], low32(args[2]), 0);
}

std::int64_t sys_faccessat2(FileContext& context, const CallArguments& args) {
    return access_at(context, args[0], args[1], low32(args[2]), low32(args[3]));
}

}  // namespace shoal::guest
