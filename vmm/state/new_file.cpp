// Write, fsync, rename, fsync the folder.
#include "vmm/state/new_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "devices/host/durable.h"
#include "devices/host/mapping.h"
#include "devices/host/os_error.h"
#include "vmm/state/state_error.h"

namespace shoal::state {
namespace {

host::UniqueFd create(const std::string& path, const std::string& temporary) {
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
        throw StateError(path + " is no regular file");
    }
    ::unlink(temporary.c_str());
    host::UniqueFd fd{
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR)};
    if (!fd) {
        host::throw_os_error("cannot create " + temporary);
    }
    return fd;
}

}  // namespace

NewFile::NewFile(std::string path)
    : path_{std::move(path)}, temporary_{path_ + ".new"}, fd_{create(path_, temporary_)} {}

NewFile::~NewFile() {
    if (!is_published_) {
        ::unlink(temporary_.c_str());
    }
}

void NewFile::set_size(std::uint64_t size_bytes) {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size_bytes)) < 0) {
        host::throw_os_error("cannot make " + temporary_ + " large enough");
    }
}

void NewFile::write(std::span<const std::byte> bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const ssize_t written =
            ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            host::throw_os_error("cannot write " + temporary_);
        }
        bytes = bytes.subspan(static_cast<std::size_t>(written));
        offset += static_cast<std::uint64_t>(written);
    }
}

void NewFile::copy_from(int fd, std::uint64_t size_bytes) {
    if (::ioctl(fd_.get(), FICLONE, fd) == 0) {
        return;
    }
    for (std::uint64_t at = 0; at < size_bytes;) {
        const off_t from = ::lseek(fd, static_cast<off_t>(at), SEEK_DATA);
        if (from < 0 || static_cast<std::uint64_t>(from) >= size_bytes) {
            break;
        }
        const off_t hole = ::lseek(fd, from, SEEK_HOLE);
        at = hole < 0 ? size_bytes : std::min(static_cast<std::uint64_t>(hole), size_bytes);
        copy_range(fd, static_cast<std::uint64_t>(from), at - static_cast<std::uint64_t>(from));
    }
}

void NewFile::copy_range(int fd, std::uint64_t offset, std::uint64_t size_bytes) {
    if (size_bytes == 0) {
        return;
    }
    // At a page's boundary: the file may be open with O_DIRECT.
    const host::Mapping buffer{std::min<std::uint64_t>(size_bytes, 1 << 20), PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1};
    while (size_bytes > 0) {
        const std::size_t wanted = std::min<std::uint64_t>(size_bytes, buffer.size());
        const ssize_t count = ::pread(fd, buffer.data(), wanted, static_cast<off_t>(offset));
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            host::throw_os_error("cannot read what " + temporary_ + " is a copy of",
                                 count < 0 ? errno : EIO);
        }
        const auto size = static_cast<std::size_t>(count);
        write(buffer.bytes().first(size), offset);
        offset += size;
        size_bytes -= size;
    }
}

void NewFile::sync() {
    if (::fsync(fd_.get()) < 0) {
        host::throw_os_error("cannot sync " + temporary_);
    }
}

void NewFile::publish() {
    if (::rename(temporary_.c_str(), path_.c_str()) < 0) {
        host::throw_os_error("cannot rename " + temporary_);
    }
    is_published_ = true;
    sync_folder_of(path_);
}

void sync_folder_of(const std::string& path) {
    std::string folder = std::filesystem::path{path}.parent_path();
    if (folder.empty()) {
        folder = ".";
    }
    host::flush_to_disk(folder);
}

}  // namespace shoal::state
