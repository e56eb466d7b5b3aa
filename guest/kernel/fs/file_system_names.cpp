// FileSystem: link, unlink, rmdir and rename.
#include "guest/kernel/fs/file_system.h"

namespace shoal::guest {
namespace {

Directory& directory_of(const Place& place) {
    return *place.directory->inode().as_directory();
}

// A name may be removed from a directory, or taken for missing, once all of them are known.
Result<void> complete(Entry& directory) {
    return directory.inode().as_directory()->complete(directory);
}

bool is_directory(const Entry& entry) {
    return entry.inode().type() == FileType::directory;
}

// Whether `entry` is `ancestor` or lies in it.
bool lies_in(const Entry* entry, const Entry* ancestor) {
    while (entry != nullptr && entry != ancestor) {
        entry = entry->parent();
    }
    return entry != nullptr;
}

// What rename(2) refuses before it looks at the files.
Result<void> check_rename(const Place& from, const Place& to, RenameMode mode) {
    if (!from.directory || !to.directory) {
        return fail(Errno::busy);  // ".", ".." and the root
    }
    if (!from.entry || (mode == RenameMode::exchange && !to.entry)) {
        return fail(Errno::noent);
    }
    if (mode == RenameMode::no_replace && to.entry) {
        return fail(Errno::exist);
    }
    if (!directory_of(from).is_changeable() || !directory_of(to).is_changeable()) {
        return fail(Errno::perm);
    }
    if (directory_of(to).attributes.link_count == 0) {
        return fail(Errno::noent);
    }
    if ((from.trailing_slash == TrailingSlash::present ||
         to.trailing_slash == TrailingSlash::present) &&
        !is_directory(*from.entry)) {
        return fail(Errno::notdir);
    }
    if (lies_in(to.directory.get(), from.entry.get()) ||
        (mode == RenameMode::exchange && lies_in(from.directory.get(), to.entry.get()))) {
        return fail(Errno::inval);
    }
    return {};
}

Result<void> check_replace(const Entry& from, const Place& from_place, Entry& to) {
    if (is_directory(from)) {
        if (!is_directory(to)) {
            return fail(Errno::notdir);
        }
    } else if (is_directory(to)) {
        return fail(lies_in(from_place.directory.get(), &to) ? Errno::notempty : Errno::isdir);
    }
    if (is_directory(to)) {
        if (const auto completed = complete(to); !completed) {
            return completed;
        }
        if (to.inode().as_directory()->entry_count() != 0) {
            return fail(Errno::notempty);
        }
    }
    return {};
}

}  // namespace

Result<void> FileSystem::link(Inode& existing, const Place& place) {
    if (existing.type() == FileType::directory) {
        return fail(Errno::perm);
    }
    const auto added = add(place, InodeRef{&existing});
    if (!added) {
        return fail(added.error());
    }
    existing.attributes.changed = now();
    return {};
}

Result<void> FileSystem::unlink(const Place& place) {
    if (!place.directory) {
        return fail(Errno::isdir);
    }
    if (!place.entry) {
        return fail(Errno::noent);
    }
    if (is_directory(*place.entry)) {
        return fail(Errno::isdir);
    }
    if (place.trailing_slash == TrailingSlash::present) {
        return fail(Errno::notdir);
    }
    if (!directory_of(place).is_changeable()) {
        return fail(Errno::perm);
    }
    if (const auto completed = complete(*place.directory); !completed) {
        return completed;
    }
    place.entry->inode().attributes.changed = now();
    directory_of(place).remove(*place.entry);
    touch(directory_of(place));
    return {};
}

Result<void> FileSystem::remove_directory(const Place& place) {
    if (!place.directory) {
        return fail(place.name == "."    ? Errno::inval
                    : place.name == ".." ? Errno::notempty
                                         : Errno::busy);
    }
    if (!place.entry) {
        return fail(Errno::noent);
    }
    if (!is_directory(*place.entry)) {
        return fail(Errno::notdir);
    }
    if (!directory_of(place).is_changeable()) {
        return fail(Errno::perm);
    }
    for (Entry* directory : {place.directory.get(), place.entry.get()}) {
        if (const auto completed = complete(*directory); !completed) {
            return completed;
        }
    }
    if (place.entry->inode().as_directory()->entry_count() != 0 ||
        !place.entry->inode().as_directory()->is_changeable()) {
        return fail(Errno::notempty);
    }
    directory_of(place).remove(*place.entry);
    touch(directory_of(place));
    return {};
}

Result<void> FileSystem::rename(const Place& from, const Place& to, RenameMode mode) {
    if (const auto checked = check_rename(from, to, mode); !checked) {
        return checked;
    }
    if (to.entry && from.entry->inode_ref() == to.entry->inode_ref()) {
        return {};  // two names of one file: POSIX says to do nothing
    }
    if (to.entry && mode != RenameMode::exchange) {
        if (const auto checked = check_replace(*from.entry, from, *to.entry); !checked) {
            return checked;
        }
    }
    for (Entry* directory : {from.directory.get(), to.directory.get()}) {
        if (const auto completed = complete(*directory); !completed) {
            return completed;
        }
    }
    Directory& source = directory_of(from);
    Directory& target = directory_of(to);
    if (const auto moved = target.move_here(*to.directory, source, *from.entry, to.name); !moved) {
        return moved;
    }
    if (mode == RenameMode::exchange) {
        if (const auto moved = source.move_here(*from.directory, target, *to.entry, from.name);
            !moved) {
            return moved;
        }
        to.entry->inode().attributes.changed = now();
    } else if (to.entry) {
        to.entry->inode().attributes.changed = now();
        target.remove(*to.entry);
    }
    from.entry->inode().attributes.changed = now();
    touch(source);
    touch(target);
    return {};
}

}  // namespace shoal::guest
