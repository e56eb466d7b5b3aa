// System calls that make and close descriptors.
#include "guest/kernel/fs/pipe.h"
#include "guest/kernel/fs/regular_file.h"
#include "guest/kernel/syscalls/files_support.h"

namespace shoal::guest {

using namespace files;

namespace {

OnExec on_exec_of(std::uint32_t flags) {
    return (flags & open_flags::close_on_exec) != 0 ? OnExec::close : OnExec::keep;
}

bool wants_to_write(std::uint32_t flags) {
    return (flags & open_flags::access_mask) != open_flags::read_only ||
           (flags & open_flags::truncate) != 0;
}

// An existing file against what is asked of it.
Result<void> check_existing(const Place& place, std::uint32_t flags) {
    const FileType type = place.entry->inode().type();
    if ((flags & open_flags::create) != 0 && (flags & open_flags::exclusive) != 0) {
        return fail(Errno::exist);
    }
    if ((flags & open_flags::directory) != 0 && type != FileType::directory) {
        return fail(Errno::notdir);
    }
    if ((flags & open_flags::path) != 0) {
        return {};
    }
    if (type == FileType::symlink) {
        return fail(Errno::loop);
    }
    if (type == FileType::directory &&
        (wants_to_write(flags) || (flags & open_flags::create) != 0)) {
        return fail(Errno::isdir);
    }
    return {};
}

Result<void> cut(FileContext& context, Inode& inode) {
    if (inode.type() != FileType::regular) {
        return {};  // O_TRUNC means nothing to a device or pipe
    }
    const auto cut = inode.resize(0);
    if (cut) {
        touch(context, inode);
    }
    return cut;
}

Result<EntryRef> create(FileContext& context, const Place& place, std::uint32_t mode) {
    if (place.trailing_slash == TrailingSlash::present) {
        return fail(Errno::isdir);
    }
    return context.file_system.add(
        place, context.file_system.make_inode<RegularFile>(mode & ~context.umask));
}

// O_TMPFILE: a file in a directory, but without a name.
Result<EntryRef> create_nameless(FileContext& context, const Place& place, std::uint32_t flags,
                                 std::uint32_t mode) {
    if (!place.entry) {
        return fail(Errno::noent);
    }
    if ((flags & open_flags::access_mask) == open_flags::read_only) {
        return fail(Errno::inval);
    }
    if (place.entry->inode().type() != FileType::directory) {
        return fail(Errno::notdir);
    }
    EntryRef entry =
        Entry::make(place.entry.get(), "#temporary",
                    context.file_system.make_inode<RegularFile>(mode & ~context.umask));
    if (!entry || !entry->inode_ref()) {
        return fail(Errno::nospc);
    }
    return entry;
}

Result<EntryRef> find_or_create(FileContext& context, const Place& place, std::uint32_t flags,
                                std::uint32_t mode) {
    if ((flags & open_flags::temporary) != 0) {
        return create_nameless(context, place, flags, mode);
    }
    if (!place.entry) {
        return (flags & open_flags::create) != 0 ? create(context, place, mode)
                                                 : fail(Errno::noent);
    }
    if (const auto checked = check_existing(place, flags); !checked) {
        return fail(checked.error());
    }
    return place.entry;
}

FollowLast follow_for_open(std::uint32_t flags) {
    const bool is_exclusive =
        (flags & open_flags::create) != 0 && (flags & open_flags::exclusive) != 0;
    return is_exclusive || (flags & open_flags::no_follow) != 0 ? FollowLast::no : FollowLast::yes;
}

std::int64_t open_at(FileContext& context, std::uint64_t directory, UserAddress path,
                     std::uint32_t flags, std::uint32_t mode) {
    if ((flags & open_flags::path) != 0) {
        flags &= open_flags::path | open_flags::directory | open_flags::no_follow |
                 open_flags::close_on_exec;
    }
    if ((flags & open_flags::temporary) != 0 && (flags & open_flags::directory) == 0) {
        return negative(Errno::inval);
    }
    UserPath user_path;
    const auto place = user_path.walk(context, directory, path, follow_for_open(flags));
    if (!place) {
        return negative(place.error());
    }
    const bool is_new = !place->entry;
    const auto entry = find_or_create(context, *place, flags, mode & permission_mask);
    if (!entry) {
        return negative(entry.error());
    }
    if ((*entry)->inode().as_socket() != nullptr && (flags & open_flags::path) == 0) {
        return negative(Errno::nxio);  // by a link of /proc/self/fd
    }
    const auto file = OpenFile::open(*entry, flags | open_flags::large_file);
    if (!file) {
        return negative(file.error());
    }
    if (!is_new && (flags & open_flags::truncate) != 0) {
        if (const auto done = cut(context, (*entry)->inode()); !done) {
            return negative(done.error());
        }
    }
    return result_of(context.table.add(*file, on_exec_of(flags)));
}

std::int64_t make_pipe_at(FileContext& context, UserAddress descriptors, std::uint32_t flags) {
    constexpr std::uint32_t known =
        open_flags::close_on_exec | open_flags::nonblock | open_flags::direct;
    if ((flags & ~known) != 0) {
        return negative(Errno::inval);
    }
    const auto ends = make_pipe(context.file_system, flags);
    if (!ends) {
        return negative(ends.error());
    }
    const auto read_end = context.table.add(ends->read_end, on_exec_of(flags));
    if (!read_end) {
        return negative(read_end.error());
    }
    const auto write_end = context.table.add(ends->write_end, on_exec_of(flags));
    std::int64_t result = write_end ? 0 : negative(write_end.error());
    if (result == 0) {
        result = store(descriptors, std::array<std::uint32_t, 2>{*read_end, *write_end});
    }
    if (result != 0) {
        static_cast<void>(context.table.close(*read_end));
        if (write_end) {
            static_cast<void>(context.table.close(*write_end));
        }
    }
    return result;
}

}  // namespace

std::int64_t sys_open(FileContext& context, const CallArguments& args) {
    return open_at(context, working_directory, args[0], low32(args[1]), low32(args[2]));
}

std::int64_t sys_openat(FileContext& context, const CallArguments& args) {
    return open_at(context, args[0], args[1], low32(args[2]), low32(args[3]));
}

std::int64_t sys_creat(FileContext& context, const CallArguments& args) {
    return open_at(context, working_directory, args[0],
                   open_flags::create | open_flags::write_only | open_flags::truncate,
                   low32(args[1]));
}

std::int64_t sys_close(FileContext& context, const CallArguments& args) {
    return result_of(context.table.close(args[0]));
}

std::int64_t sys_close_range(FileContext& context, const CallArguments& args) {
    constexpr std::uint32_t unshare = 2;
    constexpr std::uint32_t set_close_on_exec = 4;
    const std::uint32_t first = low32(args[0]);
    const std::uint32_t last = low32(args[1]);
    const std::uint32_t flags = low32(args[2]);
    if (first > last || (flags & ~(unshare | set_close_on_exec)) != 0) {
        return negative(Errno::inval);
    }
    for (std::uint32_t i = first; i <= last && i < context.table.end(); ++i) {
        if (context.table.find(i) == nullptr) {
            continue;
        }
        if ((flags & set_close_on_exec) != 0) {
            context.table.set_on_exec(i, OnExec::close);
        } else {
            static_cast<void>(context.table.close(i));
        }
    }
    return 0;
}

std::int64_t sys_pipe(FileContext& context, const CallArguments& args) {
    return make_pipe_at(context, args[0], 0);
}

std::int64_t sys_pipe2(FileContext& context, const CallArguments& args) {
    return make_pipe_at(context, args[0], low32(args[1]));
}

}  // namespace shoal::guest
