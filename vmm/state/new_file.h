// NewFile: a file that appears under its name complete and durable, or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "devices/host/unique_fd.h"

namespace shoal::state {

class NewFile {
public:
    // Opens `path` with ".new" behind it, for this user only; what a crash left there goes. Throws
    // std::system_error with the path, and StateError when `path` is there and no regular file.
    explicit NewFile(std::string path);
    // Without publish() nothing is left.
    ~NewFile();
    NewFile(const NewFile&) = delete;
    NewFile& operator=(const NewFile&) = delete;

    // What nobody writes to is a hole, and reads as zeros.
    void set_size(std::uint64_t size_bytes);
    void write(std::span<const std::byte> bytes, std::uint64_t offset);
    // The bytes of another file, holes left out, at their places; shared with it where the file
    // system can.
    void copy_from(int fd, std::uint64_t size_bytes);
    // Some of them, in any case.
    void copy_range(int fd, std::uint64_t offset, std::uint64_t size_bytes);
    // Everything is on the medium.
    void sync();
    // After sync(): takes the place of what `path` was, and is there after a crash, too.
    void publish();

    // Another process goes on with it: its temporary name stays.
    void leave() noexcept { is_published_ = true; }

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
    std::string temporary_;
    host::UniqueFd fd_;
    bool is_published_ = false;
};

// A folder's entries are on the medium. `path` is a file in it.
void sync_folder_of(const std::string& path);

}  // namespace shoal::state
