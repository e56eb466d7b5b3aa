// System calls that change a file: its size, permissions, owner and times.
#include "guest/kernel/syscalls/files_support.h"

namespace shoal::guest {

using namespace files;

namespace {

std::int64_t resize(FileContext& context, Inode& inode, std::uint64_t size) {
    if (static_cast<std::int64_t>(size) < 0) {
        return negative(Errno::inval);
    }
    const auto resized = inode.resize(size);
    if (resized) {
        touch(context, inode);
    }
    return result_of(resized);
}

// The file of a descriptor that was opened to be written. O_PATH is not.
Result<OpenFile*> writable_file(FileContext& context, std::uint64_t descriptor, Errno otherwise) {
    OpenFile* file = context.table.find(descriptor);
    if (file == nullptr || file->has(open_flags::path)) {
        return fail(Errno::badf);
    }
    return file->may_write() ? Result<OpenFile*>{file} : fail(otherwise);
}

}  // namespace

std::int64_t sys_truncate(FileContext& context, const CallArguments& args) {
    UserPath user_path;
    const auto entry = user_path.find(context, working_directory, args[0], FollowLast::yes);
    return entry ? resize(context, (*entry)->inode(), args[1]) : negative(entry.error());
}

std::int64_t sys_ftruncate(FileContext& context, const CallArguments& args) {
    const auto file = writable_file(context, args[0], Errno::inval);
    return file ? resize(context, (*file)->inode(), args[1]) : negative(file.error());
}

std::int64_t sys_fallocate(FileContext& context, const CallArguments& args) {
    constexpr std::uint32_t keep_size = 1;  // FALLOC_FL_KEEP_SIZE
    const std::uint32_t mode = low32(args[1]);
    const auto offset = static_cast<std::int64_t>(args[2]);
    const auto size = static_cast<std::int64_t>(args[3]);
    if (offset < 0 || size <= 0) {
        return negative(Errno::inval);
    }
    if ((mode & ~keep_size) != 0) {
        return negative(Errno::opnotsupp);
    }
    const auto file = writable_file(context, args[0], Errno::badf);
    if (!file) {
        return negative(file.error());
    }
    Inode& inode = (*file)->inode();
    std::int64_t end = 0;
    if (__builtin_add_overflow(offset, size, &end)) {
        return negative(Errno::fbig);
    }
    // Before all memory is taken for nothing.
    if (args[3] > file_space_bytes(context)) {
        return negative(inode.type() == FileType::regular ? Errno::nospc : Errno::nodev);
    }
    if (const auto reserved = inode.reserve(args[2], args[3]); !reserved) {
        return negative(reserved.error());
    }
    const auto wanted = static_cast<std::uint64_t>(end);
    if (mode == 0 && wanted > inode.size()) {
        return resize(context, inode, wanted);
    }
    return 0;
}

namespace {

std::int64_t change_mode(FileContext& context, const Result<EntryRef>& entry, std::uint32_t mode) {
    if (!entry) {
        return negative(entry.error());
    }
    Inode& inode = (*entry)->inode();
    if (inode.type() == FileType::symlink) {
        return negative(Errno::opnotsupp);
    }
    inode.attributes.permissions = mode & permission_mask;
    inode.attributes.changed = context.file_system.now();
    return 0;
}

Result<EntryRef> open_entry(const FileContext& context, std::uint64_t descriptor) {
    const OpenFile* file = context.table.find(descriptor);
    if (file == nullptr || file->has(open_flags::path)) {
        return fail(Errno::badf);
    }
    return file->entry_ref();
}

}  // namespace

std::int64_t sys_chmod(FileContext& context, const CallArguments& args) {
    UserPath user_path;
    return change_mode(context,
                       user_path.find(context, working_directory, args[0], FollowLast::yes),
                       low32(args[1]));
}

std::int64_t sys_fchmod(FileContext& context, const CallArguments& args) {
    return change_mode(context, open_entry(context, args[0]), low32(args[1]));
}

std::int64_t sys_fchmodat(FileContext& context, const CallArguments& args) {
    UserPath user_path;
    return change_mode(context, user_path.find(context, args[0], args[1], FollowLast::yes),
                       low32(args[2]));
}

namespace {

struct Owner {
    std::uint32_t user;
    std::uint32_t group;
};
constexpr std::uint32_t unchanged = 0xFFFFFFFF;

std::int64_t change_owner(FileContext& context, const Result<EntryRef>& entry, Owner owner) {
    constexpr std::uint32_t set_user_id = 04000;
    constexpr std::uint32_t set_group_id = 02000;
    constexpr std::uint32_t group_execute = 010;
    if (!entry) {
        return negative(entry.error());
    }
    Inode& inode = (*entry)->inode();
    Attributes& attributes = inode.attributes;
    attributes.uid = owner.user == unchanged ? attributes.uid : owner.user;
    attributes.gid = owner.group == unchanged ? attributes.gid : owner.group;
    // As Linux: a new owner does not inherit the old one's trust.
    if (inode.type() != FileType::directory) {
        attributes.permissions &= ~set_user_id;
        if ((attributes.permissions & group_execute) != 0) {
            attributes.permissions &= ~set_group_id;
        }
    }
    attributes.changed = context.file_system.now();
    return 0;
}

}  // namespace

std::int64_t sys_chown(FileContext& context, const CallArguments& args) {
    UserPath user_path;
    return change_owner(context,
                        user_path.find(context, working_directory, args[0], FollowLast::yes),
                        {low32(args[1]), low32(args[2])});
}

std::int64_t sys_lchown(FileContext& context, const CallArguments& args) {
    UserPath user_path;
    return change_owner(context,
                        user_path.find(context, working_directory, args[0], FollowLast::no),
                        {low32(args[1]), low32(args[2])});
}

std::int64_t sys_fchown(FileContext& context, const CallArguments& args) {
    return change_owner(context, open_entry(context, args[0]), {low32(args[1]), low32(args[2])});
}

std::int64_t sys_fchownat(FileContext& context, const CallArguments& args) {
    const std::uint32_t flags = low32(args[4]);
    if ((flags & ~(at_symlink_no_follow | at_empty_path)) != 0) {
        return negative(Errno::inval);
    }
    UserPath user_path;
    return change_owner(context, user_path.find(context, args[0], args[1], follow_of(flags), flags),
                        {low32(args[2]), low32(args[3])});
}

namespace {

std::int64_t sync_file(FileContext& context, std::uint64_t descriptor) {
    const auto entry = open_entry(context, descriptor);
    if (!entry) {
        return negative(entry.error());
    }
    return result_of((*entry)->inode().sync());
}

}  // namespace

std::int64_t sys_sync(FileContext&, const CallArguments&) {
    return 0;
}

std::int64_t sys_fsync(FileContext& context, const CallArguments& args) {
    return sync_file(context, args[0]);
}

std::int64_t sys_fdatasync(FileContext& context, const CallArguments& args) {
    return sync_file(context, args[0]);
}

std::int64_t sys_syncfs(FileContext& context, const CallArguments& args) {
    const auto entry = open_entry(context, args[0]);
    return entry ? 0 : negative(entry.error());
}

// Writes of a disk are with the host already, those of memory go nowhere: nothing is to be started.
std::int64_t sys_sync_file_range(FileContext& context, const CallArguments& args) {
    constexpr std::uint32_t all_flags = 7;
    const auto [descriptor, offset, size, flags, unused1, unused2] = args;
    const auto entry = open_entry(context, descriptor);
    if (!entry) {
        return negative(entry.error());
    }
    const std::uint64_t end = offset + size;
    if ((low32(flags) & ~all_flags) != 0 || static_cast<std::int64_t>(offset) < 0 ||
        static_cast<std::int64_t>(end) < 0 || end < offset) {
        return negative(Errno::inval);
    }
    const FileType type = (*entry)->inode().type();
    const bool has_blocks =
        type == FileType::regular || type == FileType::block_device || type == FileType::directory;
    return has_blocks ? 0 : negative(Errno::spipe);
}

std::int64_t sys_fadvise64(FileContext& context, const CallArguments& args) {
    constexpr std::uint32_t highest_advice = 5;  // POSIX_FADV_NOREUSE
    const auto entry = open_entry(context, args[0]);
    if (!entry) {
        return negative(entry.error());
    }
    if ((*entry)->inode().seek() == Seek::refused) {
        return negative(Errno::spipe);
    }
    return low32(args[3]) > highest_advice ? negative(Errno::inval) : 0;
}

std::int64_t sys_readahead(FileContext& context, const CallArguments& args) {
    const OpenFile* file = context.table.find(args[0]);
    if (file == nullptr || !file->may_read()) {
        return negative(Errno::badf);
    }
    return file->inode().type() == FileType::regular ? 0 : negative(Errno::inval);
}

}  // namespace shoal::guest
