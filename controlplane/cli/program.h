// Finds the program that `shoal run` was asked for, on the host or under --root.
#pragma once

#include <string>

#include "devices/host/unique_fd.h"

namespace shoal::cli {

enum class ProgramOrigin {
    host,  // has to be added to the initramfs
    root,  // is there because all of --root is
};

struct Program {
    std::string guest_path;  // absolute, in the guest
    host::UniqueFd file;     // its bytes, open for reading
    ProgramOrigin origin = ProgramOrigin::host;
};

// `name` as typed: with a slash a path, without one looked up in PATH as a shell does. `root_fd`
// is the open directory --root, or -1; it comes first, with the guest's own PATH, and symbolic
// links in it stay in it. Throws CliError: not_found, not_executable.
Program find_program(const std::string& name, int root_fd);

// The program's PATH in the guest.
inline constexpr const char* guest_search_path =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

}  // namespace shoal::cli
