// Files and named pipes for lines that may be lost but must never make the writer wait.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "devices/host/unique_fd.h"

namespace shoal::host {

// A named pipe takes so much at once or nothing (PIPE_BUF); nobody else's line gets in between.
inline constexpr std::size_t max_line_bytes = 4096;

// Opens for appending; creates a file that is missing; a named pipe needs no reader yet. Throws
// std::system_error with the path.
[[nodiscard]] UniqueFd open_nonblocking(const std::string& path);

// How much of it was written: not all when the descriptor would block, or cannot be written to.
// Also for descriptors that are in blocking mode, such as an inherited stdout.
[[nodiscard]] std::size_t try_write(int fd, std::string_view text) noexcept;
// False: not, or of a line longer than max_line_bytes a part only.
[[nodiscard]] inline bool try_write_line(int fd, std::string_view line) noexcept {
    return try_write(fd, line) == line.size();
}

}  // namespace shoal::host
