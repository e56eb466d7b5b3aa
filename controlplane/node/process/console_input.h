// What is typed at a microVM's console: a named pipe in its run folder. The supervisor makes it;
// the VMM alone reads it, as stdin, and has it open for writing too, so that it never ends.
#pragma once

#include <string>

#include "devices/host/unique_fd.h"

namespace shoal::node {

inline constexpr const char* console_input_file = "input";

// For writing without waiting. Empty when there is none: no VMM reads it any more, or it is of a
// shoald that made none. Throws std::system_error.
[[nodiscard]] host::UniqueFd try_open_console_input(const std::string& run_folder);

}  // namespace shoal::node
