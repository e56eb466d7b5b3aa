// fifo(7).
#include "controlplane/node/process/console_input.h"

#include <fcntl.h>

#include <cerrno>

#include "devices/host/os_error.h"

namespace shoal::node {

host::UniqueFd try_open_console_input(const std::string& run_folder) {
    const std::string path = run_folder + "/" + console_input_file;
    host::UniqueFd input{::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC)};
    if (!input && errno != ENOENT && errno != ENXIO) {
        host::throw_os_error("cannot open " + path);
    }
    return input;
}

}  // namespace shoal::node
