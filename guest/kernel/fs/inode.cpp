// What a file does unless its kind knows better.
#include <new>

#include "guest/kernel/fs/directory.h"

namespace shoal::guest {

bool is_known_type(std::uint32_t mode) noexcept {
    switch (static_cast<FileType>(mode & file_type_mask)) {
        case FileType::fifo:
        case FileType::character_device:
        case FileType::directory:
        case FileType::block_device:
        case FileType::regular:
        case FileType::symlink:
        case FileType::socket:
            return true;
        case FileType::anonymous:
            break;  // ours alone
    }
    return false;
}

std::size_t Inode::read_at(std::uint64_t, std::span<std::byte>) const {
    return 0;
}

void Inode::bring_in(std::uint64_t, std::uint64_t) {}

const void* Inode::page_for_read(std::uint64_t) const noexcept {
    return nullptr;
}

Result<std::size_t> Inode::read(OpenFile&, std::uint64_t, Destination&, std::size_t) {
    return fail(type_ == FileType::directory ? Errno::isdir : Errno::inval);
}

Result<std::size_t> Inode::write(OpenFile&, std::uint64_t, Source&, std::size_t) {
    return fail(Errno::inval);
}

Result<void> Inode::resize(std::uint64_t) {
    return fail(type_ == FileType::directory ? Errno::isdir : Errno::inval);
}

Result<void> Inode::reserve(std::uint64_t, std::uint64_t) {
    switch (type_) {
        case FileType::directory:
            return fail(Errno::isdir);
        case FileType::fifo:
            return fail(Errno::spipe);
        case FileType::anonymous:
        case FileType::character_device:
        case FileType::block_device:
        case FileType::regular:
        case FileType::symlink:
        case FileType::socket:
            break;
    }
    return fail(Errno::nodev);
}

// There is nothing below memory that bytes could be brought to.
Result<void> Inode::sync() {
    return type_ == FileType::regular || type_ == FileType::directory ? Result<void>{}
                                                                      : fail(Errno::inval);
}

std::uint64_t Inode::next_data(std::uint64_t offset) const noexcept {
    return offset;
}

std::uint64_t Inode::next_hole(std::uint64_t) const noexcept {
    return size();
}

Result<InodeLocks*> Inode::locks() {
    if (!locks_) {
        locks_.reset(new (std::nothrow_t{}) InodeLocks);
    }
    return locks_ ? Result<InodeLocks*>{locks_.get()} : fail(Errno::nomem);
}

Result<void> Inode::opened(OpenFile&) {
    return {};
}

void Inode::closed(OpenFile&) noexcept {}

Readiness Inode::readiness(const OpenFile&) const {
    return {};
}

EntryRef Inode::link_entry() const {
    return {};
}

}  // namespace shoal::guest
