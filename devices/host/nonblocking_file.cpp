// Lines without waiting.
#include "devices/host/nonblocking_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "devices/host/os_error.h"

namespace shoal::host {

UniqueFd open_nonblocking(const std::string& path) {
    struct stat status {};
    const bool is_pipe = ::stat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
    // Open for reading too, a pipe without a reader can be opened, and writing gives no SIGPIPE.
    const int mode = is_pipe ? O_RDWR : O_WRONLY | O_CREAT | O_APPEND;
    UniqueFd fd{::open(path.c_str(), mode | O_NONBLOCK | O_CLOEXEC, 0644)};
    if (!fd) {
        throw_os_error(path);
    }
    return fd;
}

std::size_t try_write(int fd, std::string_view text) noexcept {
    std::size_t done = 0;
    while (done < text.size()) {
        pollfd query{fd, POLLOUT, 0};
        if (::poll(&query, 1, 0) <= 0 || (query.revents & POLLOUT) == 0) {
            break;
        }
        const ssize_t count =
            ::write(fd, text.data() + done, std::min(text.size() - done, max_line_bytes));
        if (count < 0 && errno != EINTR) {
            break;
        }
        done += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    }
    return done;
}

}  // namespace shoal::host
