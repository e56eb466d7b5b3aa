// Copies a file of the host.
#pragma once

#include <string>

namespace shoal::content {

// Blocks of zeros become holes. `to` must not exist; it is not flushed. Not for the loop's thread.
// Throws std::system_error.
void copy_file(const std::string& from, const std::string& to);

}  // namespace shoal::content
