// System calls that make, move and remove names.
#include "guest/kernel/syscalls/files_support.h"

namespace shoal::guest {

using namespace files;

namespace {

std::int64_t change_directory(FileContext& context, const Result<EntryRef>& entry) {
    if (!entry) {
        return negative(entry.error());
    }
    if ((*entry)->inode().type() != FileType::directory) {
        return negative(Errno::notdir);
    }
    context.working_directory = *entry;
    return 0;
}

template <class T>
std::int64_t zero_or_error(const Result<T>& result) {
    return result ? 0 : negative(result.error());
}

std::int64_t make_directory_at(FileContext& context, std::uint64_t directory, UserAddress path,
                               std::uint32_t mode) {
    constexpr std::uint32_t kept = 01777;  // as Linux's mkdir
    UserPath user_path;
    const auto place = user_path.walk(context, directory, path, FollowLast::never);
    return place ? zero_or_error(
                       context.file_system.make_directory(*place, mode & kept & ~context.umask))
                 : negative(place.error());
}

enum class Remove { file, directory };

std::int64_t remove_at(FileContext& context, std::uint64_t directory, UserAddress path,
                       Remove what) {
    UserPath user_path;
    const auto place = user_path.walk(context, directory, path, FollowLast::never);
    if (!place) {
        return negative(place.error());
    }
    return result_of(what == Remove::directory ? context.file_system.remove_directory(*place)
                                               : context.file_system.unlink(*place));
}

// Two descriptors and two paths.
struct Pair {
    std::uint64_t from_directory;
    UserAddress from;
    std::uint64_t to_directory;
    UserAddress to;
};

std::int64_t rename_at(FileContext& context, const Pair& pair, RenameMode mode) {
    UserPath from_path;
    UserPath to_path;
    const auto from = from_path.walk(context, pair.from_directory, pair.from, FollowLast::never);
    if (!from) {
        return negative(from.error());
    }
    const auto to = to_path.walk(context, pair.to_directory, pair.to, FollowLast::never);
    return to ? result_of(context.file_system.rename(*from, *to, mode)) : negative(to.error());
}

std::int64_t link_at(FileContext& context, const Pair& pair, std::uint32_t flags) {
    if ((flags & ~(at_symlink_follow | at_empty_path)) != 0) {
        return negative(Errno::inval);
    }
    const FollowLast follow = (flags & at_symlink_follow) != 0 ? FollowLast::yes : FollowLast::no;
    UserPath path;
    const auto existing = path.find(context, pair.from_directory, pair.from, follow, flags);
    if (!existing) {
        return negative(existing.error());
    }
    const auto place = path.walk(context, pair.to_directory, pair.to, FollowLast::never);
    return place ? result_of(context.file_system.link((*existing)->inode(), *place))
                 : negative(place.error());
}

std::int64_t symlink_at(FileContext& context, UserAddress target, std::uint64_t directory,
                        UserAddress path) {
    std::array<char, path_size_max> bytes;
    const auto length = copy_string_from_user(bytes, target);
    if (!length || *length == 0) {
        return negative(length ? Errno::noent : length.error());
    }
    UserPath user_path;
    const auto place = user_path.walk(context, directory, path, FollowLast::never);
    return place ? zero_or_error(context.file_system.make_symlink(*place, {bytes.data(), *length}))
                 : negative(place.error());
}

}  // namespace

std::int64_t sys_chdir(FileContext& context, const CallArguments& args) {
    UserPath user_path;
    return change_directory(context,
                            user_path.find(context, working_directory, args[0], FollowLast::yes));
}

std::int64_t sys_fchdir(FileContext& context, const CallArguments& args) {
    return change_directory(context, entry_of(context, args[0]));
}

std::int64_t sys_umask(FileContext& context, const CallArguments& args) {
    return std::exchange(context.umask, low32(args[0]) & 0777);
}

std::int64_t sys_mkdir(FileContext& context, const CallArguments& args) {
    return make_directory_at(context, working_directory, args[0], low32(args[1]));
}

std::int64_t sys_mkdirat(FileContext& context, const CallArguments& args) {
    return make_directory_at(context, args[0], args[1], low32(args[2]));
}

std::int64_t sys_rmdir(FileContext& context, const CallArguments& args) {
    return remove_at(context, working_directory, args[0], Remove::directory);
}

std::int64_t sys_unlink(FileContext& context, const CallArguments& args) {
    return remove_at(context, working_directory, args[0], Remove::file);
}

std::int64_t sys_unlinkat(FileContext& context, const CallArguments& args) {
    const std::uint32_t flags = low32(args[2]);
    if ((flags & ~at_remove_directory) != 0) {
        return negative(Errno::inval);
    }
    return remove_at(context, args[0], args[1], flags != 0 ? Remove::directory : Remove::file);
}

std::int64_t sys_rename(FileContext& context, const CallArguments& args) {
    return rename_at(context, {working_directory, args[0], working_directory, args[1]},
                     RenameMode::replace);
}

std::int64_t sys_renameat(FileContext& context, const CallArguments& args) {
    return rename_at(context, {args[0], args[1], args[2], args[3]}, RenameMode::replace);
}

std::int64_t sys_renameat2(FileContext& context, const CallArguments& args) {
    const Pair pair{args[0], args[1], args[2], args[3]};
    switch (low32(args[4])) {
        case 0:
            return rename_at(context, pair, RenameMode::replace);
        case 1:
            return rename_at(context, pair, RenameMode::no_replace);
        case 2:
            return rename_at(context, pair, RenameMode::exchange);
        default:
            return negative(Errno::inval);
    }
}

std::int64_t sys_link(FileContext& context, const CallArguments& args) {
    return link_at(context, {working_directory, args[0], working_directory, args[1]}, 0);
}

std::int64_t sys_linkat(FileContext& context, const CallArguments& args) {
    return link_at(context, {args[0], args[1], args[2], args[3]}, low32(args[4]));
}

std::int64_t sys_symlink(FileContext& context, const CallArguments& args) {
    return symlink_at(context, args[0], working_directory, args[1]);
}

std::int64_t sys_symlinkat(FileContext& context, const CallArguments& args) {
    return symlink_at(context, args[0], args[1], args[2]);
}

}  // namespace shoal::guest
