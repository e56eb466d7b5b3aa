// Starts processes in the guest.
#pragma once

#include <sys/types.h>

#include <array>
#include <string>
#include <vector>

#include "controlplane/exec/start.h"

namespace shoal::exec_agent {

// With the agent's descriptors, folder and environment. 0: cannot, with errno. `words` has the
// program's own name first; it is looked for in PATH if `program` has no slash.
[[nodiscard]] pid_t start_program(const std::string& program, const std::vector<char*>& words);

// In a process group of its own, with these three descriptors as its first.
[[nodiscard]] pid_t start_command(const exec::Start& start, const std::array<int, 3>& streams);

}  // namespace shoal::exec_agent
