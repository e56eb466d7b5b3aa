// LogFile: a program's output, of which the newest part is kept.
//
// The file only grows, so that an offset stays the same byte for ever; what is older than the limit
// is given back to the file system as a hole. A file system that cannot do that gets no more bytes
// after the limit, and the file says so.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "devices/host/unique_fd.h"

namespace shoal::supervisor {

class LogFile {
public:
    // Appends to the file at `path`, creating it. Throws std::system_error.
    LogFile(const std::string& path, std::uint64_t limit_bytes);

    // What cannot be written (a full disk) is dropped: the program goes on.
    void append(std::string_view bytes) noexcept;

private:
    void write(std::string_view bytes) noexcept;
    void make_room() noexcept;

    host::UniqueFd file_;
    std::uint64_t limit_bytes_;
    std::uint64_t size_bytes_ = 0;
    std::uint64_t hole_bytes_ = 0;  // from the begin of the file
    bool is_closed_ = false;        // there is no room, and none can be made
};

}  // namespace shoal::supervisor
