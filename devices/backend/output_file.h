// The file or named pipe that a device's output goes to.
#pragma once

#include <string>

#include "devices/host/unique_fd.h"

namespace shoal::backend {

// Opens `path` to append to it, and creates it if there is none. A pipe needs no reader yet, and
// never blocks. Throws std::system_error that names the path.
[[nodiscard]] host::UniqueFd open_output_file(const std::string& path);

}  // namespace shoal::backend
