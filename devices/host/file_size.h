// What a file takes of its disk: holes take nothing (stat(2)).
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "devices/host/os_error.h"

namespace shoal::host {

[[nodiscard]] inline std::uint64_t allocated_bytes(const struct stat& status) noexcept {
    constexpr std::uint64_t unit = 512;  // of st_blocks, whatever the file system's blocks are
    return static_cast<std::uint64_t>(status.st_blocks) * unit;
}

// Throws std::system_error.
[[nodiscard]] inline std::uint64_t allocated_bytes(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) < 0) {
        throw_os_error("cannot look at " + path);
    }
    return allocated_bytes(status);
}

}  // namespace shoal::host
