// Writing a snapshot whole or not at all, and opening one.
#include "vmm/state/snapshot_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "devices/abi/address_map.h"
#include "devices/host/os_error.h"
#include "devices/host/random.h"
#include "vmm/machine/page_set.h"
#include "vmm/state/memory_image.h"
#include "vmm/state/new_file.h"
#include "vmm/state/packed_memory.h"
#include "vmm/state/read_at.h"
#include "vmm/state/section.h"
#include "vmm/state/working_set.h"

namespace shoal::state {
namespace {

std::string old_name(const std::string& path) {
    return path + ".old";
}

host::UniqueFd open_file(const std::string& path) {
    host::UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) < 0) {
        host::throw_os_error("cannot open " + path);
    }
    if (!S_ISREG(status.st_mode)) {
        throw StateError(path + " is no regular file");
    }
    return fd;
}

std::vector<std::byte> read_all(const std::string& path) {
    const host::UniqueFd fd = open_file(path);
    const std::uint64_t size = file_size_bytes(fd.get());
    if (size > max_file_bytes) {
        throw StateError("it is larger than " + std::to_string(max_file_bytes >> 20) + " MiB");
    }
    return read_at(fd.get(), 0, size);
}

[[noreturn]] void refuse_packed(const std::string& path) {
    throw StateError(
        "nothing can be merged into " + path +
        ", which is compressed: decompress it (zstd -d), or keep the difference apart");
}

// The memory file that a difference is to be merged into, if it is the base's: all of its memory,
// or itself a difference. After a crash it may have its second name only.
struct Base {
    host::UniqueFd fd;
    MemoryMark mark;
};

std::optional<Base> open_base(const std::string& path, std::uint64_t memory_bytes,
                              const SnapshotId& id) {
    for (const std::string& name : {path, old_name(path)}) {
        host::UniqueFd fd{::open(name.c_str(), O_RDONLY | O_CLOEXEC)};
        if (fd && is_packed(fd.get())) {
            refuse_packed(name);
        }
        auto mark = fd ? read_mark(fd.get(), memory_bytes) : std::nullopt;
        if (mark && mark->id == id) {
            return Base{std::move(fd), std::move(*mark)};
        }
    }
    return std::nullopt;
}

// Whether the memory file at `path` is that of the state file.
bool is_of(const std::string& path, const std::string& state_path) {
    const host::UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd || ::access(state_path.c_str(), F_OK) < 0) {
        return false;
    }
    try {
        const Snapshot snapshot = read_state(state_path);
        const std::uint64_t size_bytes = snapshot.microvm.config.machine.mem_size_mib << 20;
        const auto mark = is_packed(fd.get())
                              ? PackedMemory{path, open_file(path), size_bytes}.mark()
                              : read_mark(fd.get(), size_bytes);
        return mark && mark->id == snapshot.id;
    } catch (const StateError&) {
        return false;  // damaged: nothing is lost with it
    }
}

// Where a crash came between the two renames, the state's memory has the second name already, and
// the first one is nobody's.
void keep_old(const SnapshotPaths& paths) {
    const std::string old = old_name(paths.memory);
    if (!is_of(old, paths.state)) {
        ::unlink(old.c_str());
        if (::link(paths.memory.c_str(), old.c_str()) < 0 && errno != ENOENT) {
            host::throw_os_error("cannot link " + old);
        }
    }
    sync_folder_of(paths.memory);
}

struct MemoryPaths {
    std::string memory;
    std::string working_set;
};

// Nothing: it is another snapshot's.
std::optional<vmm::MemorySource> open_packed(const MemoryPaths& paths, host::UniqueFd fd,
                                             std::uint64_t memory_bytes, const SnapshotId& id) {
    vmm::MemorySource source;
    auto memory = std::make_unique<PackedMemory>(paths.memory, std::move(fd), memory_bytes);
    if (memory->mark().id != id) {
        return std::nullopt;
    }
    source.ahead = read_working_set(paths.working_set, id, memory_bytes);
    memory->expect(source.ahead);
    source.pages = std::move(memory);
    return source;
}

std::optional<vmm::MemorySource> open_plain(const MemoryPaths& paths, host::UniqueFd fd,
                                            std::uint64_t memory_bytes, const SnapshotId& id) {
    const auto mark = read_mark(fd.get(), memory_bytes);
    if (!mark || mark->id != id) {
        return std::nullopt;
    }
    if (mark->difference) {
        throw StateError("the memory file " + paths.memory +
                         " has only what changed since another snapshot: rebase it first");
    }
    vmm::MemorySource source;
    source.ahead = read_working_set(paths.working_set, id, memory_bytes);
    source.file = std::move(fd);
    return source;
}

}  // namespace

SnapshotFiles::SnapshotFiles(const SnapshotPaths& paths, const vmm::SavedMicrovm& saved,
                             std::optional<Difference> difference, DriveCopies drives)
    : paths_{paths},
      snapshot_{host::random_value<SnapshotId>(), saved},
      difference_{std::move(difference)},
      drives_{std::move(drives)},
      memory_file_{paths.memory},
      state_file_{paths.state} {
    drives_.finish(snapshot_.id);
}

void SnapshotFiles::write(const machine::GuestMemory& memory) {
    if (difference_) {
        write_difference(memory);
    } else if (paths_.compression == Compression::zstd) {
        write_packed(memory, {snapshot_.id, {}}, memory_file_);
    } else {
        memory_file_.set_size(memory.size_bytes());
        write_pages(memory, vmm::touched_pages(memory), Zeros::are_holes, memory_file_);
        memory_file_.write(encode(MemoryMark{snapshot_.id, {}}), memory.size_bytes());
    }
    state_file_.write(encode(snapshot_), 0);
    drives_.sync();
    drives_.publish();
    memory_file_.sync();
    state_file_.sync();
    keep_old(paths_);
    memory_file_.publish();
    state_file_.publish();
    ::unlink(old_name(paths_.memory).c_str());
}

void SnapshotFiles::write_difference(const machine::GuestMemory& memory) {
    MemoryMark mark{snapshot_.id, difference_};
    if (auto base = open_base(paths_.memory, memory.size_bytes(), difference_->base)) {
        memory_file_.copy_from(base->fd.get(), memory.size_bytes());
        mark.difference = std::move(base->mark.difference);
        if (mark.difference) {
            vmm::add_pages(mark.difference->pages, difference_->pages);
        }
    }
    memory_file_.set_size(memory.size_bytes());
    write_pages(memory, difference_->pages, Zeros::are_written, memory_file_);
    memory_file_.write(encode(mark), memory.size_bytes());
}

void SnapshotFiles::leave() noexcept {
    drives_.leave();
    memory_file_.leave();
    state_file_.leave();
}

Snapshot read_state(const std::string& path) {
    try {
        return decode(read_all(path));
    } catch (const StateError& error) {
        throw StateError(path + ": " + error.what());
    }
}

void rebase_memory(const std::string& base_path, const std::string& difference_path) {
    const host::UniqueFd base = open_file(base_path);
    if (is_packed(base.get())) {
        refuse_packed(base_path);
    }
    const auto memory_bytes = whole_memory_bytes(base.get());
    if (!memory_bytes) {
        throw StateError(base_path + " is no memory file that has all of a memory");
    }
    const auto base_mark = read_mark(base.get(), *memory_bytes);
    const host::UniqueFd changes = open_file(difference_path);
    const auto mark = read_mark(changes.get(), *memory_bytes);
    if (!mark || !mark->difference) {
        throw StateError(difference_path + " is no difference to a memory of " +
                         std::to_string(*memory_bytes >> 20) + " MiB");
    }
    if (!base_mark || mark->difference->base != base_mark->id) {
        throw StateError(difference_path + " is a difference to another snapshot than that of " +
                         base_path);
    }
    NewFile file{base_path};
    file.copy_from(base.get(), *memory_bytes);
    for (auto range = vmm::next_range(mark->difference->pages, 0); range;
         range = vmm::next_range(mark->difference->pages, range->end)) {
        file.copy_range(changes.get(), range->first * abi::page_size,
                        (range->end - range->first) * abi::page_size);
    }
    file.write(encode(MemoryMark{mark->id, {}}), *memory_bytes);
    file.sync();
    file.publish();
}

vmm::MemorySource open_memory(const std::string& path, const Snapshot& snapshot,
                              const std::string& working_set_path) {
    const std::uint64_t size_bytes = snapshot.microvm.config.machine.mem_size_mib << 20;
    for (const std::string& name : {path, old_name(path)}) {
        if (name != path && ::access(name.c_str(), R_OK) < 0) {
            break;
        }
        host::UniqueFd fd = open_file(name);
        const auto open = is_packed(fd.get()) ? open_packed : open_plain;
        const MemoryPaths paths{
            name, working_set_path.empty() ? working_set_beside(name) : working_set_path};
        if (auto source = open(paths, std::move(fd), size_bytes, snapshot.id)) {
            return std::move(*source);
        }
    }
    throw StateError("the memory file " + path + " is damaged or belongs to another snapshot");
}

}  // namespace shoal::state
