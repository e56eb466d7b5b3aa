// FileSystem: making files, and what the kernel itself looks up.
#include "guest/kernel/fs/file_system.h"

#include <array>
#include <cstring>
#include <memory>

#include "guest/kernel/fs/regular_file.h"
#include "guest/kernel/fs/symlink.h"

namespace shoal::guest {

FileSystem::FileSystem(ClockFunction clock) : clock_{clock} {
    root_ = Entry::make(nullptr, "/", make_inode<Directory>(0755U), NameMemory::borrow);
}

Result<void> FileSystem::replace_root(InodeRef directory) {
    EntryRef root = Entry::make(nullptr, "/", std::move(directory), NameMemory::borrow);
    if (!root) {
        return fail(Errno::nomem);
    }
    root_ = std::move(root);
    return {};
}

// Names and directories keep each other alive, so the tree is taken apart from its leaves.
FileSystem::~FileSystem() {
    EntryRef current = root_;
    while (current) {
        Directory* directory = current->inode().as_directory();
        Entry* first = directory->first_entry();
        if (first == nullptr) {
            current = EntryRef{current->parent()};
        } else if (first->inode().as_directory() != nullptr &&
                   first->inode().as_directory()->entry_count() != 0) {
            current = EntryRef{first};
        } else {
            directory->remove(*first);
        }
    }
}

void FileSystem::stamp(Inode& inode) {
    Attributes& attributes = inode.attributes;
    attributes.number = next_number();
    attributes.created = now();
    attributes.accessed = attributes.modified = attributes.changed = attributes.created;
}

void FileSystem::touch(Inode& inode) {
    inode.attributes.modified = inode.attributes.changed = now();
}

Result<EntryRef> FileSystem::add(const Place& place, InodeRef inode, NameMemory memory) {
    if (place.entry) {
        return fail(Errno::exist);
    }
    Directory* directory = place.directory->inode().as_directory();
    if (!directory->is_changeable() || directory->attributes.link_count == 0) {
        return fail(Errno::noent);  // of /proc, or removed
    }
    if (!inode) {
        return fail(Errno::nospc);
    }
    if (place.trailing_slash == TrailingSlash::present && inode->type() != FileType::directory) {
        return fail(Errno::noent);
    }
    EntryRef entry = Entry::make(place.directory.get(), place.name, std::move(inode), memory);
    if (!entry) {
        return fail(Errno::nospc);
    }
    directory->insert(*entry);
    touch(*directory);
    return entry;
}

Result<EntryRef> FileSystem::make_directory(const Place& place, std::uint32_t permissions) {
    return add(place, make_inode<Directory>(permissions));
}

Result<EntryRef> FileSystem::make_symlink(const Place& place, std::string_view target) {
    std::unique_ptr<char[]> copy{new (std::nothrow_t{}) char[target.size()]};
    if (!copy) {
        return fail(Errno::nospc);
    }
    std::memcpy(copy.get(), target.data(), target.size());
    return add(place, make_inode<Symlink>(std::move(copy), target.size()));
}

Result<EntryRef> FileSystem::ensure_directory(std::string_view path) {
    EntryRef current = root_;
    while (!path.empty()) {
        const std::string_view name = path.substr(0, path.find('/'));
        path.remove_prefix(name.size() + (name.size() == path.size() ? 0 : 1));
        if (name.empty() || name == ".") {
            continue;
        }
        const auto place = walk(*current, name, FollowLast::yes);
        if (!place) {
            return fail(place.error());
        }
        const auto next =
            place->entry ? Result<EntryRef>{place->entry} : make_directory(*place, 0755);
        if (!next) {
            return fail(next.error());
        }
        if ((*next)->inode().as_directory() == nullptr) {
            return fail(Errno::notdir);
        }
        current = *next;
    }
    return current;
}

void FileSystem::remove_tree(std::string_view path) {
    const auto found = find(*root_, path, FollowLast::no);
    if (!found || (*found)->parent() == nullptr) {
        return;
    }
    const EntryRef& top = *found;
    EntryRef holder{top->parent()};
    if (!holder->inode().as_directory()->complete(*holder)) {
        return;
    }
    EntryRef current = top;
    while (top->is_linked()) {
        Directory* directory = current->inode().as_directory();
        Entry* first = directory == nullptr ? nullptr : directory->first_entry();
        if (first != nullptr) {
            current = EntryRef{first};
            continue;
        }
        EntryRef parent{current->parent()};
        parent->inode().as_directory()->remove(*current);
        current = std::move(parent);
    }
}

Result<std::span<const std::byte>> FileSystem::initramfs_bytes(std::string_view path) const {
    const auto found = find(path);
    if (!found) {
        return fail(found.error());
    }
    const auto bytes = (*found)->inode().borrowed_bytes();
    if (bytes.size() != (*found)->inode().size()) {
        return fail(Errno::inval);
    }
    return bytes;
}

// From the end of `room` to its front, then moved down.
Result<std::string_view> FileSystem::path_of(const Entry& entry, std::span<char> room) const {
    constexpr std::string_view deleted = " (deleted)";
    std::size_t at = room.size();
    const auto prepend = [&](std::string_view text) {
        if (text.size() > at) {
            return false;
        }
        at -= text.size();
        std::memcpy(room.data() + at, text.data(), text.size());
        return true;
    };
    const bool has_place = &entry == root_.get() || entry.parent() != nullptr;
    bool fits = !has_place || entry.is_linked() || &entry == root_.get() || prepend(deleted);
    if (!has_place || &entry == root_.get()) {
        fits = fits && prepend(entry.name());
    }
    for (const Entry* e = &entry; fits && e->parent() != nullptr; e = e->parent()) {
        fits = prepend(e->name()) && prepend("/");
    }
    if (!fits) {
        return fail(Errno::range);
    }
    std::memmove(room.data(), room.data() + at, room.size() - at);
    return std::string_view{room.data(), room.size() - at};
}

}  // namespace shoal::guest
