// fallocate(2) with FALLOC_FL_PUNCH_HOLE.
#include "controlplane/supervisor/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "devices/host/os_error.h"

namespace shoal::supervisor {
namespace {

// Holes are made so large at least, and in whole blocks.
constexpr std::uint64_t hole_step_bytes = std::uint64_t{64} << 10;
constexpr std::uint64_t block_bytes = 4096;

}  // namespace

LogFile::LogFile(const std::string& path, std::uint64_t limit_bytes)
    : file_{::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640)},
      limit_bytes_{limit_bytes} {
    struct stat status {};
    if (!file_ || ::fstat(file_.get(), &status) < 0) {
        host::throw_os_error("cannot open the log " + path);
    }
    size_bytes_ = static_cast<std::uint64_t>(status.st_size);
    // Unknown after a restart; punching a hole again costs nothing.
    hole_bytes_ = 0;
}

void LogFile::append(std::string_view bytes) noexcept {
    if (!is_closed_) {
        write(bytes);
        make_room();
    }
}

void LogFile::write(std::string_view bytes) noexcept {
    while (!bytes.empty()) {
        const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return;
        }
        size_bytes_ += static_cast<std::uint64_t>(count);
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

void LogFile::make_room() noexcept {
    if (size_bytes_ < limit_bytes_ || size_bytes_ - limit_bytes_ < hole_bytes_ + hole_step_bytes) {
        return;
    }
    const std::uint64_t end = (size_bytes_ - limit_bytes_) / block_bytes * block_bytes;
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (::fallocate(file_.get(), mode, 0, static_cast<off_t>(end)) == 0) {
        hole_bytes_ = end;
        return;
    }
    is_closed_ = true;
    write("\nshoal: the log has reached its limit of " + std::to_string(limit_bytes_) +
          " bytes; what comes next is dropped\n");
}

}  // namespace shoal::supervisor
