// ProcessIdentity: a microVM's process, found again by a shoald that was restarted.
//
// A pid alone may meanwhile be another process. With the start time it is unique until the host is
// restarted: keep it where a restart of the host deletes it, under /run.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "devices/host/unique_fd.h"

namespace shoal::node {

struct ProcessIdentity {
    pid_t pid = 0;
    std::uint64_t start_ticks = 0;  // since the host was started

    bool operator==(const ProcessIdentity&) const = default;
};

// Of a process that is there, perhaps as a zombie; nothing if there is none.
// Throws std::system_error when that cannot be found out.
[[nodiscard]] std::optional<ProcessIdentity> identify(pid_t pid);

// A pidfd, readable once the process has ended; empty if it is gone, whoever has its pid now.
// Throws std::system_error when that cannot be found out: the process may be running.
[[nodiscard]] host::UniqueFd open_process(const ProcessIdentity& process);

// Field 22 of /proc/PID/stat, "starttime" in proc(5).
[[nodiscard]] std::optional<std::uint64_t> start_ticks_in(std::string_view stat) noexcept;

}  // namespace shoal::node
