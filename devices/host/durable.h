// What the disk has for certain, and what it is rid of. Both wait for the disk.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "devices/host/log.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::host {

// Of a file its content, of a folder the names in it: after this they survive a loss of power.
// `flags`: O_NOFOLLOW where somebody else chose the file. Throws std::system_error.
inline void flush_to_disk(const std::string& path, int flags = 0) {
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags)};
    if (!file || ::fsync(file.get()) < 0) {
        throw_os_error("cannot flush " + path);
    }
}

// A file or a folder with all that is in it. What cannot be deleted is logged.
inline void delete_all(const std::filesystem::path& path) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) {
        log(LogLevel::error, "cannot delete " + path.string() + ": " + error.message());
    }
}

}  // namespace shoal::host
