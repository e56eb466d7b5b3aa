// pread and fstat.
#include "vmm/state/read_at.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "devices/host/os_error.h"

namespace shoal::state {

std::vector<std::byte> read_at(int fd, std::uint64_t offset, std::size_t size_bytes) {
    std::vector<std::byte> bytes(size_bytes);
    std::size_t size = 0;
    while (size < bytes.size()) {
        const ssize_t count = ::pread(fd, bytes.data() + size, bytes.size() - size,
                                      static_cast<off_t>(offset + size));
        if (count < 0 && errno != EINTR) {
            host::throw_os_error("reading a file of a snapshot");
        }
        if (count == 0) {
            break;
        }
        size += count < 0 ? 0 : static_cast<std::size_t>(count);
    }
    bytes.resize(size);
    return bytes;
}

std::uint64_t file_size_bytes(int fd) {
    struct stat status {};
    host::check_os(::fstat(fd, &status), "fstat");
    return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace shoal::state
