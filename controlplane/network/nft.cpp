// Its input and output are files in memory: nobody has to read or write while it runs.
#include "controlplane/network/nft.h"

#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <stdexcept>

#include "controlplane/node/process/child_process.h"
#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"

extern char** environ;

namespace shoal::network {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

host::UniqueFd make_file(const char* name) {
    return host::UniqueFd{host::check_os(::memfd_create(name, MFD_CLOEXEC), "memfd_create")};
}

pid_t start_nft(int input, int output) {
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    std::array<std::string, 3> words{"nft", "-f", "-"};
    std::array<char*, 4> argv{words[0].data(), words[1].data(), words[2].data(), nullptr};
    pid_t pid = 0;
    const int error = ::posix_spawnp(&pid, "nft", &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        host::throw_os_error("cannot run nft (of the package nftables)", error);
    }
    return pid;
}

// False: it still runs then. `process` is a pidfd.
bool ends_before(int process, steady_clock::time_point deadline) {
    while (true) {
        const auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now()).count();
        pollfd waited{process, POLLIN, 0};
        const int count = ::poll(&waited, 1, static_cast<int>(std::max(left, 0L)));
        if (count >= 0 || errno != EINTR) {
            return count > 0;
        }
    }
}

std::string first_line(int file) {
    std::array<char, 400> said{};
    const ssize_t count = ::pread(file, said.data(), said.size(), 0);
    const std::string text{said.data(), static_cast<std::size_t>(std::max(count, ssize_t{0}))};
    return text.substr(0, text.find('\n'));
}

}  // namespace

void run_nft(const std::string& script, milliseconds limit, const std::stop_token& stop) {
    const host::UniqueFd input = make_file("nft-input");
    const host::UniqueFd output = make_file("nft-output");
    if (::pwrite(input.get(), script.data(), script.size(), 0) !=
        static_cast<ssize_t>(script.size())) {
        host::throw_os_error("writing to nft");
    }
    const pid_t child = start_nft(input.get(), output.get());
    const host::UniqueFd process = node::open_child(child);
    bool is_late = false;
    {
        // Gone before the child is waited for, and its number is somebody else's.
        const std::stop_callback kill{stop, [child] { ::kill(child, SIGKILL); }};
        is_late = !ends_before(process.get(), steady_clock::now() + limit);
        if (is_late) {
            ::kill(child, SIGKILL);
        }
    }
    // Also when it was killed: what comes next does not meet it.
    const bool is_done = node::wait_for_child(child);
    if (stop.stop_requested()) {
        throw std::runtime_error{"shoald ends"};
    }
    if (is_late) {
        throw std::runtime_error{"nft took more than " + std::to_string(limit.count()) +
                                 " ms and was killed"};
    }
    if (!is_done) {
        throw std::runtime_error{"nft refuses the rules: " + first_line(output.get())};
    }
}

}  // namespace shoal::network
