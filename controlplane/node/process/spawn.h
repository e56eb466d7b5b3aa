// Starts a supervisor as a process of its own session.
#pragma once

#include <string>
#include <vector>

#include "devices/host/unique_fd.h"

namespace shoal::node {

struct Spawned {
    host::UniqueFd process;  // a pidfd
    host::UniqueFd ready;    // readable (its end) once the VMM runs or cannot
};

// In the open directory `folder`, with `lock` as lock_fd: from then on the lock is held for as long
// as the process lives, even if the caller dies at any moment. `cgroup` is the open folder of a
// cgroup of version 2 that it is made in; -1: the caller's. Throws std::system_error.
[[nodiscard]] Spawned spawn_supervisor(const std::vector<std::string>& words, int folder,
                                       host::UniqueFd lock, int cgroup = -1);

}  // namespace shoal::node
