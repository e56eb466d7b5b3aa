// The initramfs: one member after the other, with the rules of Linux's init/initramfs.c.
#include "guest/kernel/fs/initramfs.h"

#include <vector>

#include "guest/kernel/fs/hard_links.h"
#include "guest/kernel/fs/pipe.h"
#include "guest/kernel/fs/symlink.h"

namespace shoal::guest {
namespace {

std::string_view as_text(std::span<const std::byte> bytes) {
    // SAFETY: bytes seen as chars.
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Unpacker {
public:
    Unpacker(FileSystem& file_system, Devices& devices) noexcept
        : file_system_{file_system}, devices_{devices} {}

    // A phrase that says what is wrong, or nullptr.
    const char* unpack(const CpioMember& member);
    // Adding files changed the times of their directories.
    void restore_directory_times();

private:
    struct DirectoryTime {
        InodeRef directory;
        Timestamp modified;
    };

    Result<Place> make_place(std::string_view path);
    const char* unpack_directory(const Place& place, const CpioMember& member);
    InodeRef make_file(const CpioMember& member);
    InodeRef make_regular(const CpioMember& member);
    void set_attributes(Inode& inode, const CpioMember& member);

    FileSystem& file_system_;
    Devices& devices_;
    HardLinks hard_links_{};
    std::vector<DirectoryTime> directory_times_{};
};

Result<Place> Unpacker::make_place(std::string_view path) {
    auto place = file_system_.walk(file_system_.root(), path, FollowLast::never);
    const std::size_t slash = path.rfind('/');
    if (place || place.error() != Errno::noent || slash == std::string_view::npos) {
        return place;
    }
    const auto parent = file_system_.ensure_directory(path.substr(0, slash));
    if (!parent) {
        return fail(parent.error());
    }
    return file_system_.walk(**parent, path.substr(slash + 1), FollowLast::never);
}

void Unpacker::set_attributes(Inode& inode, const CpioMember& member) {
    Attributes& attributes = inode.attributes;
    const Timestamp modified{member.mtime_s, 0};
    attributes.permissions = member.mode & permission_mask;
    attributes.uid = member.uid;
    attributes.gid = member.gid;
    attributes.accessed = attributes.modified = attributes.changed = attributes.created = modified;
    if (inode.type() == FileType::directory) {
        directory_times_.push_back({InodeRef{&inode}, modified});
    }
}

void Unpacker::restore_directory_times() {
    for (const DirectoryTime& time : directory_times_) {
        Attributes& attributes = time.directory->attributes;
        attributes.modified = attributes.changed = time.modified;
    }
}

const char* Unpacker::unpack_directory(const Place& place, const CpioMember& member) {
    if (place.entry && place.entry->inode().type() == FileType::directory) {
        set_attributes(place.entry->inode(), member);
        return nullptr;
    }
    if (place.entry && !file_system_.unlink(place)) {
        return "a directory replaces what cannot be removed";
    }
    const auto made = file_system_.add({place.directory, place.name, {}, place.trailing_slash},
                                       file_system_.make_inode<Directory>(0U), NameMemory::borrow);
    if (!made) {
        return "a directory cannot be made";
    }
    set_attributes((*made)->inode(), member);
    return nullptr;
}

// A file that has several names may have its data with any of them.
InodeRef Unpacker::make_regular(const CpioMember& member) {
    if (member.link_count < 2) {
        return file_system_.make_inode<RegularFile>(0U, member.data);
    }
    Ref<RegularFile>& known = hard_links_.find(member);
    if (!known) {
        known = file_system_.make_inode<RegularFile>(0U, member.data);
    } else if (!member.data.empty()) {
        known->adopt(member.data);
    }
    return known;
}

InodeRef Unpacker::make_file(const CpioMember& member) {
    const auto type = static_cast<FileType>(member.mode & file_type_mask);
    switch (type) {
        case FileType::regular:
            return make_regular(member);
        case FileType::symlink: {
            const std::string_view target = as_text(member.data);
            return file_system_.make_inode<Symlink>(target.substr(0, target.find('\0')));
        }
        case FileType::fifo:
            return file_system_.make_inode<Pipe>();
        case FileType::character_device:
        case FileType::block_device:
        case FileType::socket:
            return devices_.make(type, 0, member.device_major, member.device_minor);
        case FileType::directory:
        case FileType::anonymous:
            break;
    }
    return {};
}

bool has_dot_dot(std::string_view path) {
    while (!path.empty()) {
        const std::string_view name = path.substr(0, path.find('/'));
        if (name == "..") {
            return true;
        }
        path.remove_prefix(name.size() + (name.size() == path.size() ? 0 : 1));
    }
    return false;
}

const char* Unpacker::unpack(const CpioMember& member) {
    if (member.is_trailer()) {
        hard_links_.clear();
        return nullptr;
    }
    if (!is_known_type(member.mode)) {
        return "a file has no known type";
    }
    if (has_dot_dot(member.name)) {
        return "a name has \"..\" in it";
    }
    const auto found = make_place(member.name);
    if (!found) {
        return "a name leads nowhere";
    }
    Place place = *found;
    const bool is_directory =
        static_cast<FileType>(member.mode & file_type_mask) == FileType::directory;
    if (is_directory) {
        return unpack_directory(place, member);
    }
    // Made before the old file of that name goes, which may be the same one.
    const InodeRef file = make_file(member);
    if (!file || !place.directory) {
        return "a file cannot be made";
    }
    if (place.entry) {
        const bool is_old_directory = place.entry->inode().type() == FileType::directory;
        const auto removed =
            is_old_directory ? file_system_.remove_directory(place) : file_system_.unlink(place);
        if (!removed) {
            return "a file replaces what cannot be removed";
        }
        place.entry = nullptr;
    }
    if (!file_system_.add(place, file, NameMemory::borrow)) {
        return "a file cannot be made";
    }
    set_attributes(*file, member);
    return nullptr;
}

}  // namespace

std::expected<void, ArchiveError> unpack_initramfs(FileSystem& file_system, Devices& devices,
                                                   std::span<const std::byte> archive) {
    CpioReader reader{archive};
    Unpacker unpacker{file_system, devices};
    for (;;) {
        const auto member = reader.next();
        if (!member) {
            return std::unexpected(member.error());
        }
        if (!*member) {
            unpacker.restore_directory_times();
            return {};
        }
        if (const char* reason = unpacker.unpack(**member)) {
            return std::unexpected(ArchiveError{reason, (*member)->offset});
        }
    }
}

}  // namespace shoal::guest
