// fork, exec, waitpid.
#include "controlplane/node/process/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <stdexcept>

#include "devices/host/oom_score.h"
#include "devices/host/os_error.h"
#include "devices/host/pipe.h"

namespace shoal::node {
namespace {

constexpr std::size_t max_output_bytes = 512;

std::string read_to_end(int fd) {
    std::string text;
    std::array<char, 4096> buffer;
    while (true) {
        const ssize_t count = ::read(fd, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return text;
        }
        text.append(buffer.data(), static_cast<std::size_t>(count));
        text.erase(0, text.size() - std::min(text.size(), max_output_bytes));
    }
}

}  // namespace

pid_t start_child(const std::vector<std::string>& words, int output) {
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (const std::string& word : words) {
        argv.push_back(const_cast<char*>(word.c_str()));  // execv does not write there
    }
    argv.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t child = host::check_os(::fork(), "fork");
    if (child == 0) {
        // Async-signal-safe calls alone: other threads' locks are as they were.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        static_cast<void>(host::set_oom_order(host::OomOrder::first));
        const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        ::dup2(nothing, STDIN_FILENO);
        ::dup2(output, STDOUT_FILENO);
        ::dup2(output, STDERR_FILENO);
        ::close_range(3, ~0U, 0);
        if (::getppid() == parent) {
            ::execv(argv.front(), argv.data());
        }
        ::_exit(127);
    }
    return child;
}

host::UniqueFd open_child(pid_t child) {
    host::UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, child, 0))};
    if (!process) {
        const int error = errno;
        ::kill(child, SIGKILL);
        static_cast<void>(wait_for_child(child));
        host::throw_os_error("pidfd_open of a child", error);
    }
    return process;
}

bool wait_for_child(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string last_words(std::string output) {
    while (output.ends_with('\n')) {
        output.pop_back();
    }
    return output.substr(output.rfind('\n') + 1);
}

void run_child(const std::vector<std::string>& words) {
    host::Pipe pipe = host::make_pipe();
    const pid_t child = start_child(words, pipe.write.get());
    pipe.write = {};
    const std::string said = last_words(read_to_end(pipe.read.get()));
    if (!wait_for_child(child)) {
        throw std::runtime_error{said.empty() ? words.front() + " failed" : said};
    }
}

}  // namespace shoal::node
