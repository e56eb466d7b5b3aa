// Writing a snapshot whole or not at all, and opening one.
#include "vmm/state/snapshot_files.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "devices/host/os_error.h"
#include "vmm/state/memory_image.h"
#include "vmm/state/new_file.h"
#include "vmm/state/section.h"

namespace shoal::state {
namespace {

constexpr std::string_view trailer_magic = "SHOALMEM";
using Trailer = std::array<std::byte, trailer_magic.size() + SnapshotId{}.size()>;

Trailer trailer_of(const SnapshotId& id) {
    Trailer trailer;
    std::ranges::copy(std::as_bytes(std::span{trailer_magic}), trailer.begin());
    std::ranges::copy(id, trailer.begin() + trailer_magic.size());
    return trailer;
}

SnapshotId make_id() {
    SnapshotId id;
    host::check_os(::getrandom(id.data(), id.size(), 0), "getrandom");
    return id;
}

std::string old_name(const std::string& path) {
    return path + ".old";
}

void keep_old(const std::string& path) {
    ::unlink(old_name(path).c_str());
    if (::link(path.c_str(), old_name(path).c_str()) < 0 && errno != ENOENT) {
        host::throw_os_error("cannot link " + old_name(path));
    }
    sync_folder_of(path);
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
    struct stat status {};
    host::check_os(::fstat(fd.get(), &status), "fstat");
    if (static_cast<std::uint64_t>(status.st_size) > max_file_bytes) {
        throw StateError("it is larger than " + std::to_string(max_file_bytes >> 20) + " MiB");
    }
    std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
    std::size_t size = 0;
    while (size < bytes.size()) {
        const ssize_t count = ::read(fd.get(), bytes.data() + size, bytes.size() - size);
        if (count < 0 && errno != EINTR) {
            host::throw_os_error("cannot read " + path);
        }
        if (count == 0) {
            break;
        }
        size += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    }
    bytes.resize(size);
    return bytes;
}

bool belongs(int fd, std::uint64_t size_bytes, const SnapshotId& id) {
    Trailer trailer{};
    return ::pread(fd, trailer.data(), trailer.size(), static_cast<off_t>(size_bytes)) ==
               static_cast<ssize_t>(trailer.size()) &&
           trailer == trailer_of(id);
}

}  // namespace

void write_snapshot(const SnapshotPaths& paths, const vmm::SavedMicrovm& saved,
                    const machine::GuestMemory& memory) {
    SnapshotFiles{paths, saved}.write(memory);
}

SnapshotFiles::SnapshotFiles(const SnapshotPaths& paths, const vmm::SavedMicrovm& saved)
    : paths_{paths},
      snapshot_{make_id(), saved},
      memory_file_{paths.memory},
      state_file_{paths.state} {}

void SnapshotFiles::write(const machine::GuestMemory& memory) {
    memory_file_.set_size(memory.size_bytes());
    write_memory(memory, memory_file_);
    memory_file_.write(trailer_of(snapshot_.id), memory.size_bytes());
    state_file_.write(encode(snapshot_), 0);
    memory_file_.sync();
    state_file_.sync();
    keep_old(paths_.memory);
    memory_file_.publish();
    state_file_.publish();
    ::unlink(old_name(paths_.memory).c_str());
}

void SnapshotFiles::leave() noexcept {
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

machine::GuestMemory open_memory(const std::string& path, const Snapshot& snapshot) {
    const std::uint64_t size_bytes = snapshot.microvm.config.machine.mem_size_mib << 20;
    for (const std::string& name : {path, old_name(path)}) {
        if (name != path && ::access(name.c_str(), R_OK) < 0) {
            break;
        }
        host::UniqueFd fd = open_file(name);
        if (belongs(fd.get(), size_bytes, snapshot.id)) {
            return {size_bytes, std::move(fd)};
        }
    }
    throw StateError("the memory file " + path + " is damaged or belongs to another snapshot");
}

}  // namespace shoal::state
