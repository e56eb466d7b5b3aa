// FileTable: an array of slots that grows, and never for good where memory is gone.
#include "guest/kernel/fs/file_table.h"

#include <algorithm>
#include <new>

namespace shoal::guest {
namespace {

constexpr std::uint32_t first_capacity = 32;

}  // namespace

bool FileTable::grow(std::uint32_t wanted) {
    if (wanted <= capacity_) {
        return true;
    }
    const std::uint32_t capacity =
        std::min(limit, std::max({wanted, 2 * capacity_, first_capacity}));
    std::unique_ptr<Slot[]> slots{new (std::nothrow_t{}) Slot[capacity]};
    if (!slots) {
        return false;
    }
    std::move(slots_.get(), slots_.get() + end_, slots.get());
    slots_ = std::move(slots);
    capacity_ = capacity;
    return true;
}

Result<void> FileTable::copy(const FileTable& from) {
    if (!grow(from.end_)) {
        return fail(Errno::nomem);
    }
    std::copy(from.slots_.get(), from.slots_.get() + from.end_, slots_.get());
    end_ = from.end_;
    open_limit_ = from.open_limit_;
    return {};
}

OpenFile* FileTable::find(std::uint64_t descriptor) const noexcept {
    const auto index = static_cast<std::uint32_t>(descriptor);
    return index < end_ ? slots_[index].file.get() : nullptr;
}

Result<std::uint32_t> FileTable::add(OpenFileRef file, OnExec on_exec, std::uint32_t lowest) {
    std::uint32_t descriptor = lowest;
    while (find(descriptor) != nullptr) {
        ++descriptor;
    }
    if (descriptor >= open_limit_) {
        return fail(Errno::mfile);
    }
    return put(descriptor, std::move(file), on_exec);
}

Result<std::uint32_t> FileTable::put(std::uint32_t descriptor, OpenFileRef file, OnExec on_exec) {
    if (descriptor >= open_limit_) {
        return fail(Errno::badf);
    }
    if (!grow(descriptor + 1)) {
        return fail(Errno::nomem);
    }
    end_ = std::max(end_, descriptor + 1);
    clear(slots_[descriptor]);
    slots_[descriptor] = {std::move(file), on_exec};
    return descriptor;
}

Result<void> FileTable::close(std::uint64_t descriptor) {
    if (find(descriptor) == nullptr) {
        return fail(Errno::badf);
    }
    clear(slots_[static_cast<std::uint32_t>(descriptor)]);
    while (end_ > 0 && !slots_[end_ - 1].file) {
        --end_;
    }
    return {};
}

void FileTable::clear(Slot& slot) noexcept {
    if (slot.file) {
        slot.file->inode().release_locks(this);
        slot = {};
    }
}

void FileTable::close_all() noexcept {
    for (std::uint32_t descriptor = 0; descriptor < end_; ++descriptor) {
        clear(slots_[descriptor]);
    }
    slots_.reset();
    capacity_ = end_ = 0;
}

OnExec FileTable::on_exec(std::uint64_t descriptor) const noexcept {
    return slots_[static_cast<std::uint32_t>(descriptor)].on_exec;
}

void FileTable::set_on_exec(std::uint64_t descriptor, OnExec on_exec) noexcept {
    slots_[static_cast<std::uint32_t>(descriptor)].on_exec = on_exec;
}

}  // namespace shoal::guest
