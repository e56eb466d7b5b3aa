// Program lookup: a path or a name in PATH, under --root first and then on the host.
#include "controlplane/cli/program.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "controlplane/cli/cli_error.h"
#include "devices/host/os_error.h"

namespace shoal::cli {
namespace {

constexpr mode_t execute_bits = S_IXUSR | S_IXGRP | S_IXOTH;

std::vector<std::string> split_path(std::string_view path) {
    std::vector<std::string> folders;
    for (std::size_t start = 0; start <= path.size();) {
        const std::size_t end = std::min(path.find(':', start), path.size());
        // An empty word is the working directory (POSIX, 8.3).
        folders.emplace_back(end == start ? "." : path.substr(start, end - start));
        start = end + 1;
    }
    return folders;
}

// Links are followed: inside `root_fd` when there is one. Empty, with errno, when it cannot be
// opened.
host::UniqueFd open_file(int root_fd, const std::string& path) noexcept {
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;  // a FIFO must not block the lookup
    how.resolve = root_fd < 0 ? 0 : RESOLVE_IN_ROOT;
    const int dir = root_fd < 0 ? AT_FDCWD : root_fd;
    return host::UniqueFd{
        static_cast<int>(::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof how))};
}

bool is_executable(int fd) {
    struct stat status {};
    host::check_os(::fstat(fd, &status), "fstat");
    return S_ISREG(status.st_mode) && (status.st_mode & execute_bits) != 0;
}

// Without ".", ".." and doubled slashes. A ".." after a symbolic link needs the host to resolve it.
std::string absolute_path(const std::string& path) {
    const auto absolute = std::filesystem::absolute(path);
    if (path.find("..") == std::string::npos) {
        return absolute.lexically_normal();
    }
    return std::filesystem::weakly_canonical(absolute.parent_path()) / absolute.filename();
}

Program find_by_path(const std::string& name, int root_fd) {
    Program program{absolute_path(name), {}, ProgramOrigin::root};
    if (root_fd >= 0) {
        program.file = open_file(root_fd, program.guest_path);
    }
    if (!program.file) {
        program.file = open_file(-1, program.guest_path);
        program.origin = ProgramOrigin::host;
    }
    if (!program.file && (errno == ENOENT || errno == ENOTDIR)) {
        throw CliError(name + " was not found", ExitCode::not_found);
    }
    if (!program.file) {
        throw CliError("cannot open " + name + ": " + std::strerror(errno),
                       ExitCode::not_executable);
    }
    if (!is_executable(program.file.get())) {
        throw CliError(name + " is not an executable file", ExitCode::not_executable);
    }
    return program;
}

std::optional<Program> search(const std::string& name, std::string_view path, int root_fd,
                              ProgramOrigin origin) {
    for (const std::string& folder : split_path(path)) {
        const std::string candidate = absolute_path(folder + "/" + name);
        auto file = open_file(root_fd, candidate);
        if (file && is_executable(file.get())) {
            return Program{candidate, std::move(file), origin};
        }
    }
    return std::nullopt;
}

}  // namespace

Program find_program(const std::string& name, int root_fd) {
    if (name.find('/') != std::string::npos) {
        return find_by_path(name, root_fd);
    }
    std::optional<Program> program;
    if (root_fd >= 0) {
        program = search(name, guest_search_path, root_fd, ProgramOrigin::root);
    }
    if (!program) {
        const char* path = std::getenv("PATH");
        program = search(name, path == nullptr ? guest_search_path : path, -1, ProgramOrigin::host);
    }
    if (!program) {
        throw CliError(name + " was not found in PATH", ExitCode::not_found);
    }
    return std::move(*program);
}

}  // namespace shoal::cli
