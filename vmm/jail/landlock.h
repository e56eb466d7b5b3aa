// Files that can be opened by their names: those below some paths alone.
#pragma once

#include <span>
#include <string>

namespace shoal::jail {

// Whether the kernel has Landlock (Linux 5.13, and not turned off).
[[nodiscard]] bool has_landlock() noexcept;

// From here on this thread, and those that it starts, open, make, rename and remove files at and
// below these paths only, besides the devices that a microVM needs; where a path has ",ro" behind
// it they are only read. What is open stays open;
// sockets of others can be connected to as before. Before other threads are started, and with
// no_new_privs. Throws std::system_error: a path is not there.
void allow_only(std::span<const std::string> paths);

}  // namespace shoal::jail
