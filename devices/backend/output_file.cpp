// Opening an output file.
#include "devices/backend/output_file.h"

#include <fcntl.h>

#include <cerrno>

#include "devices/host/os_error.h"

namespace shoal::backend {

host::UniqueFd open_output_file(const std::string& path) {
    constexpr int flags = O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
    constexpr mode_t mode = 0644;
    host::UniqueFd fd{::open(path.c_str(), flags | O_WRONLY, mode)};
    if (!fd && errno == ENXIO) {
        // A pipe without a reader, which we are ourselves for as long as nobody else is.
        fd = host::UniqueFd{::open(path.c_str(), flags | O_RDWR, mode)};
    }
    if (!fd) {
        host::throw_os_error("cannot open the output file " + path);
    }
    return fd;
}

}  // namespace shoal::backend
