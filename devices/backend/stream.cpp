// Byte streams over borrowed host descriptors that may be in blocking mode.
#include "devices/backend/stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "devices/host/log.h"

namespace shoal::backend {
namespace {

bool is_ready(int fd, short events) noexcept {
    pollfd query{fd, events, 0};
    return ::poll(&query, 1, 0) > 0;
}

// A named pipe that was opened without a reader (output_file.h): no write to it ever fails.
bool is_own_pipe(int fd) noexcept {
    struct stat status {};
    return ::fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) &&
           (::fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
}

bool is_transient(int error) noexcept {
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

}  // namespace

ReadResult InputStream::try_read(std::span<std::byte> into) const noexcept {
    if (fd_ < 0) {
        return {ReadStatus::end_of_file, 0};
    }
    if (into.empty() || !is_ready(fd_, POLLIN)) {
        return {};
    }
    const ssize_t count = ::read(fd_, into.data(), into.size());
    if (count > 0) {
        return {ReadStatus::data, static_cast<std::size_t>(count)};
    }
    if (count < 0 && is_transient(errno)) {
        return {};
    }
    return {ReadStatus::end_of_file, 0};
}

std::size_t OutputStream::try_write(std::span<const std::byte> from) noexcept {
    if (fd_ < 0 || failed_) {
        return from.size();
    }
    std::size_t done = 0;
    while (done < from.size() && is_ready(fd_, POLLOUT)) {
        // A pipe that polls writable has room for PIPE_BUF bytes.
        const auto piece = from.subspan(done, std::min<std::size_t>(from.size() - done, PIPE_BUF));
        const ssize_t count = ::write(fd_, piece.data(), piece.size());
        if (count < 0) {
            if (is_transient(errno)) {
                break;
            }
            failed_ = true;
            return from.size();
        }
        done += static_cast<std::size_t>(count);
    }
    return done;
}

bool wait_for_room(int fd, Patience patience) noexcept {
    constexpr int limit_ms = 1000;
    const bool is_limited = patience == Patience::one_second || is_own_pipe(fd);
    pollfd query{fd, POLLOUT, 0};
    if (::poll(&query, 1, is_limited ? limit_ms : -1) != 0) {
        return true;
    }
    host::log(host::LogLevel::warn,
              "nobody has read the guest's console for 1 s: the rest of its output is lost");
    return false;
}

void drain_output(StreamClient& client, Patience patience) noexcept {
    while (client.wants_output() && wait_for_room(client.output_fd(), patience)) {
        client.on_output_ready();
    }
}

}  // namespace shoal::backend
