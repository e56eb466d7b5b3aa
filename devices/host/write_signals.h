// Signals of writes that cannot be: a pipe without a reader, a file beyond the process' limit.
#pragma once

#include <csignal>

namespace shoal::host {

// From here on such a write fails, with EPIPE or EFBIG, and that is all. Also in threads of the
// kernel's that write for this process (io_uring).
inline void ignore_write_signals() noexcept {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
}

}  // namespace shoal::host
