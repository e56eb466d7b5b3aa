// FileTable: a vector of slots.
#include "guest/kernel/fs/file_table.h"

namespace shoal::guest {

OpenFile* FileTable::find(std::uint64_t descriptor) const noexcept {
    const auto index = static_cast<std::uint32_t>(descriptor);
    return index < slots_.size() ? slots_[index].file.get() : nullptr;
}

Result<std::uint32_t> FileTable::add(OpenFileRef file, OnExec on_exec, std::uint32_t lowest) {
    std::uint32_t descriptor = lowest;
    while (find(descriptor) != nullptr) {
        ++descriptor;
    }
    if (descriptor >= limit) {
        return fail(Errno::mfile);
    }
    return put(descriptor, std::move(file), on_exec);
}

Result<std::uint32_t> FileTable::put(std::uint32_t descriptor, OpenFileRef file, OnExec on_exec) {
    if (descriptor >= limit) {
        return fail(Errno::badf);
    }
    if (descriptor >= slots_.size()) {
        slots_.resize(descriptor + 1U);
    }
    slots_[descriptor] = {std::move(file), on_exec};
    return descriptor;
}

Result<void> FileTable::close(std::uint64_t descriptor) {
    if (find(descriptor) == nullptr) {
        return fail(Errno::badf);
    }
    slots_[static_cast<std::uint32_t>(descriptor)] = {};
    while (!slots_.empty() && !slots_.back().file) {
        slots_.pop_back();
    }
    return {};
}

OnExec FileTable::on_exec(std::uint64_t descriptor) const noexcept {
    return slots_[static_cast<std::uint32_t>(descriptor)].on_exec;
}

void FileTable::set_on_exec(std::uint64_t descriptor, OnExec on_exec) noexcept {
    slots_[static_cast<std::uint32_t>(descriptor)].on_exec = on_exec;
}

}  // namespace shoal::guest
