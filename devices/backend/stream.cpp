// Byte streams over borrowed host descriptors that may be in blocking mode.
#include "devices/backend/stream.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace shoal::backend {
namespace {

bool is_ready(int fd, short events) noexcept {
    pollfd query{fd, events, 0};
    return ::poll(&query, 1, 0) > 0;
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

void drain_output(StreamClient& client) noexcept {
    while (client.wants_output()) {
        pollfd query{client.output_fd(), POLLOUT, 0};
        ::poll(&query, 1, -1);
        client.on_output_ready();
    }
}

}  // namespace shoal::backend
