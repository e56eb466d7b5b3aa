// proc(5) for the start time, pidfd_open(2) for the process itself.
#include "controlplane/node/process/process_identity.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <string>
#include <utility>

#include "devices/host/os_error.h"

namespace shoal::node {

std::optional<std::uint64_t> start_ticks_in(std::string_view stat) noexcept {
    // Field 2 is the program's name in parentheses, in which there may be anything, also ") ".
    const std::size_t name_end = stat.rfind(')');
    if (name_end == std::string_view::npos) {
        return std::nullopt;
    }
    stat.remove_prefix(name_end + 1);
    for (int field = 2; field < 22; ++field) {
        const std::size_t space = stat.find(' ');
        if (space == std::string_view::npos) {
            return std::nullopt;
        }
        stat.remove_prefix(space + 1);
    }
    std::uint64_t ticks = 0;
    const auto [end, error] = std::from_chars(stat.data(), stat.data() + stat.size(), ticks);
    return error == std::errc{} ? std::optional{ticks} : std::nullopt;
}

std::optional<ProcessIdentity> identify(pid_t pid) {
    const std::string path = "/proc/" + std::to_string(pid) + "/stat";
    const host::UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file && errno == ENOENT) {
        return std::nullopt;
    }
    if (!file) {
        host::throw_os_error("cannot open " + path);
    }
    std::array<char, 4096> text{};
    const ssize_t size = ::read(file.get(), text.data(), text.size());
    if (size < 0 && errno == ESRCH) {  // it went in between
        return std::nullopt;
    }
    if (size < 0) {
        host::throw_os_error("cannot read " + path);
    }
    const auto ticks = start_ticks_in({text.data(), static_cast<std::size_t>(size)});
    if (!ticks) {
        errno = EPROTO;
        host::throw_os_error("no start time in " + path);
    }
    return ProcessIdentity{pid, *ticks};
}

host::UniqueFd open_process(const ProcessIdentity& process) {
    // By its number: glibc 2.36 declares pidfd_open() as a C++ function. It sets close-on-exec.
    host::UniqueFd opened{static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0))};
    if (!opened && errno == ESRCH) {
        return {};
    }
    if (!opened) {
        host::throw_os_error("pidfd_open of process " + std::to_string(process.pid));
    }
    // Compared after opening: from here on the descriptor keeps its process, and one that took the
    // pid over in between started later than what was recorded.
    return identify(process.pid) == process ? std::move(opened) : host::UniqueFd{};
}

}  // namespace shoal::node
