// What is missing is told in the words that clients of Firecracker look for. Whoever opens the file
// afterwards finds everything else that may be wrong with it.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

namespace shoal::vmm {

inline constexpr const char* backing_file_refusal = "Error manipulating the backing file: ";

// Throws std::runtime_error, which begins with `refusal`, when the file cannot be read.
inline void require_file(const std::string& path, const char* refusal) {
    if (::access(path.c_str(), R_OK) < 0) {
        const int error = errno;
        throw std::runtime_error(refusal + std::string{std::strerror(error)} + " (os error " +
                                 std::to_string(error) + ") " + path);
    }
}

}  // namespace shoal::vmm
