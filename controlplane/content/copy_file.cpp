// read(2) and pwrite(2), since sparse files are what is copied.
#include "controlplane/content/copy_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

namespace shoal::content {

void copy_file(const std::string& from, const std::string& to) {
    const host::UniqueFd source{::open(from.c_str(), O_RDONLY | O_CLOEXEC)};
    const host::UniqueFd target{::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)};
    if (!source || !target) {
        host::throw_os_error("cannot copy " + from + " to " + to);
    }
    std::vector<char> bytes(std::size_t{64} << 10);
    off_t at = 0;
    while (true) {
        const ssize_t count = host::check_os(::read(source.get(), bytes.data(), bytes.size()),
                                             "reading a file to copy");
        if (count == 0) {
            break;
        }
        const auto size = static_cast<std::size_t>(count);
        const bool is_zero =
            std::all_of(bytes.data(), bytes.data() + size, [](char byte) { return byte == 0; });
        if (!is_zero && ::pwrite(target.get(), bytes.data(), size, at) != count) {
            host::throw_os_error("cannot write " + to);
        }
        at += count;
    }
    host::check_os(::ftruncate(target.get(), at), "ftruncate");
}

}  // namespace shoal::content
