// A pipe (pipe(7)): what is written to one end is read from the other. Both close on exec.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::host {

struct Pipe {
    UniqueFd read;
    UniqueFd write;
};

// Throws std::system_error.
[[nodiscard]] inline Pipe make_pipe() {
    std::array<int, 2> fds{};
    check_os(::pipe2(fds.data(), O_CLOEXEC), "pipe2");
    return {UniqueFd{fds[0]}, UniqueFd{fds[1]}};
}

}  // namespace shoal::host
