// Paths and vectors in the program's memory.
#include "guest/kernel/syscalls/files_support.h"

#include "guest/kernel/pages.h"

#include <limits>

namespace shoal::guest::files {

Result<std::string_view> UserPath::fetch_path(UserAddress path) {
    const auto length = copy_string_from_user(bytes_, path);
    if (!length) {
        return fail(length.error());
    }
    return std::string_view{bytes_.data(), *length};
}

Result<EntryRef> UserPath::start(const FileContext& context, std::uint64_t directory,
                                 std::string_view path) const {
    const bool is_absolute = !path.empty() && path.front() == '/';
    if (is_absolute || static_cast<std::int32_t>(directory) == at_working_directory) {
        return context.working_directory;
    }
    return entry_of(context, directory);
}

Result<Place> UserPath::walk(const FileContext& context, std::uint64_t directory, UserAddress path,
                             FollowLast follow) {
    const auto text = fetch_path(path);
    if (!text) {
        return fail(text.error());
    }
    if (text->empty()) {
        return fail(Errno::noent);
    }
    const auto from = start(context, directory, *text);
    if (!from) {
        return fail(from.error());
    }
    return context.file_system.walk(**from, *text, follow);
}

Result<EntryRef> UserPath::find(const FileContext& context, std::uint64_t directory,
                                UserAddress path, FollowLast follow, std::uint32_t flags) {
    const auto text = fetch_path(path);
    if (!text) {
        return fail(text.error());
    }
    const auto from = start(context, directory, *text);
    if (text->empty()) {
        return (flags & at_empty_path) != 0 ? from : fail(Errno::noent);
    }
    return from ? context.file_system.find(**from, *text, follow) : from;
}

Result<EntryRef> entry_of(const FileContext& context, std::uint64_t descriptor) {
    const OpenFile* file = context.table.find(descriptor);
    if (file == nullptr) {
        return fail(Errno::badf);
    }
    return file->entry_ref();
}

namespace {

// struct iovec.
struct IoVector {
    UserAddress address;
    std::uint64_t size;
};

}  // namespace

Result<UserRanges> UserRanges::of_vector(UserAddress vector, std::uint64_t count) {
    if (count > vector_count_max) {
        return fail(Errno::inval);
    }
    UserRanges ranges;
    ranges.vector_ = vector;
    ranges.vector_count_ = count;
    for (std::uint64_t i = 0; i < count; ++i) {
        IoVector element;
        if (!fetch(element, vector + i * sizeof element)) {
            return fail(Errno::fault);
        }
        if (element.size > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
            return fail(Errno::inval);
        }
        ranges.total_ += std::min<std::size_t>(element.size, transfer_size_max - ranges.total_);
    }
    return ranges;
}

std::optional<UserRanges::Range> UserRanges::take(std::size_t wanted) {
    while (size_ == 0) {
        IoVector element;
        if (vector_count_ == 0 || !fetch(element, vector_)) {
            return std::nullopt;
        }
        vector_ += sizeof element;
        --vector_count_;
        address_ = element.address;
        size_ = element.size;
    }
    const Range range{address_, std::min(wanted, size_)};
    address_ += range.size;
    size_ -= range.size;
    return range;
}

bool UserDestination::put(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const auto range = ranges_.take(bytes.size());
        if (!range || !copy_to_user(range->address, bytes.data(), range->size)) {
            return false;
        }
        bytes = bytes.subspan(range->size);
    }
    return true;
}

bool UserDestination::put_zeros(std::size_t count) {
    while (count > 0) {
        const auto range = ranges_.take(count);
        if (!range || !clear_user(range->address, range->size)) {
            return false;
        }
        count -= range->size;
    }
    return true;
}

bool UserSource::get(std::span<std::byte> bytes) {
    while (!bytes.empty()) {
        const auto range = ranges_.take(bytes.size());
        if (!range || !copy_from_user(bytes.data(), range->address, range->size)) {
            return false;
        }
        bytes = bytes.subspan(range->size);
    }
    return true;
}

std::uint64_t file_space_bytes(const FileContext& context) {
    const std::uint64_t free = context.source.memory_free_bytes();
    const std::uint64_t floor = context.source.memory_total_bytes() / file_floor_share;
    return free > floor ? free - floor : 0;
}

void touch(const FileContext& context, Inode& inode) {
    inode.attributes.modified = inode.attributes.changed = context.file_system.now();
}

}  // namespace shoal::guest::files
