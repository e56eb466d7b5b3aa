// clone3(2) with the caller's memory until exec, as posix_spawn(3) does it, which cannot make a
// process in a cgroup.
#include "controlplane/node/process/spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "controlplane/node/process/run_folder.h"
#include "devices/host/os_error.h"
#include "devices/host/pipe.h"

namespace shoal::node {
namespace {

struct Command {
    std::vector<char*> words;
    int folder;
    int lock;
    int ready;
    int error = 0;  // why it could not be executed
};

// The child's system calls go by their numbers, and it is not instrumented: what the C library and
// sanitizers have written down of the caller (handlers, descriptors, its stack) stays right.
[[gnu::no_sanitize("address", "thread")]] void reset_signals() {
    const std::uint64_t by_default[4] = {};  // the kernel's struct sigaction
    const std::uint64_t no_signal = 0;       // its sigset_t
    for (int number = 1; number < NSIG; ++number) {
        ::syscall(SYS_rt_sigaction, number, by_default, nullptr, sizeof no_signal);
    }
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signal, nullptr, sizeof no_signal);
}

// In the child, on a stack of its own; the caller waits. All descriptors of the command are above
// those that it shall have. Never returns.
[[gnu::no_sanitize("address", "thread")]] int execute(void* argument) {
    Command& command = *static_cast<Command*>(argument);
    reset_signals();
    const bool is_ready = ::syscall(SYS_setsid) > 0 && ::syscall(SYS_fchdir, command.folder) == 0;
    const long null = ::syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);
    if (is_ready && ::syscall(SYS_dup2, null, STDIN_FILENO) >= 0 &&
        ::syscall(SYS_dup2, null, STDOUT_FILENO) >= 0 &&
        ::syscall(SYS_dup2, null, STDERR_FILENO) >= 0 &&
        ::syscall(SYS_dup2, command.lock, lock_fd) >= 0 &&
        ::syscall(SYS_dup2, command.ready, ready_fd) >= 0 &&
        // Asio's sockets are not closed by exec: a client would wait for a shoald that is dead.
        ::syscall(SYS_close_range, ready_fd + 1, ~0U, 0) == 0) {
        ::syscall(SYS_execve, command.words.front(), command.words.data(), ::environ);
    }
    command.error = errno;
    ::syscall(SYS_exit_group, 127);
    __builtin_unreachable();
}

class BlockedSignals {
public:
    BlockedSignals() {
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_BLOCK, &all, &before_);
    }
    BlockedSignals(const BlockedSignals&) = delete;
    BlockedSignals& operator=(const BlockedSignals&) = delete;
    ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_{};
};

// clone3(2), for which glibc has no function: it cannot return on the stack of a caller that goes
// on.
long clone3(clone_args& args, int (*run)(void*), void* argument) {
    long result = SYS_clone3;
    asm volatile(
        "syscall\n\t"
        "testq %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        "movq %[argument], %%rdi\n\t"
        "callq *%[run]\n\t"
        "ud2\n"
        "1:"
        : "+a"(result)
        : "D"(&args), "S"(sizeof args), [run] "r"(run), [argument] "r"(argument)
        : "rcx", "r11", "memory", "cc");
    return result;
}

// A pidfd.
host::UniqueFd start(Command& command, int cgroup) {
    alignas(16) std::array<std::byte, std::size_t{64} << 10> stack;
    const BlockedSignals blocked;
    int process = -1;
    clone_args args{};
    args.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
    args.pidfd = reinterpret_cast<std::uint64_t>(&process);
    args.exit_signal = SIGCHLD;
    args.stack = reinterpret_cast<std::uint64_t>(stack.data());
    args.stack_size = stack.size();
    if (cgroup >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = static_cast<unsigned>(cgroup);
    }
    const long child = clone3(args, execute, &command);
    if (child < 0) {
        host::throw_os_error("clone3", static_cast<int>(-child));
    }
    return host::UniqueFd{process};
}

// Its number is none of those that the child shall have.
host::UniqueFd out_of_the_way(int fd) {
    return host::UniqueFd{
        host::check_os(::fcntl(fd, F_DUPFD_CLOEXEC, ready_fd + 1), "fcntl(F_DUPFD_CLOEXEC)")};
}

}  // namespace

Spawned spawn_supervisor(const std::vector<std::string>& words, int folder, host::UniqueFd lock,
                         int cgroup) {
    host::Pipe ready = host::make_pipe();
    const host::UniqueFd lock_copy = out_of_the_way(lock.get());
    const host::UniqueFd ready_copy = out_of_the_way(ready.write.get());
    const host::UniqueFd folder_copy = out_of_the_way(folder);
    Command command{{}, folder_copy.get(), lock_copy.get(), ready_copy.get()};
    command.words.reserve(words.size() + 1);
    for (const std::string& word : words) {
        command.words.push_back(const_cast<char*>(word.c_str()));  // execve does not write there
    }
    command.words.push_back(nullptr);
    host::UniqueFd process = start(command, cgroup);
    if (command.error != 0) {
        siginfo_t info{};
        ::waitid(P_PIDFD, static_cast<id_t>(process.get()), &info, WEXITED);
        host::throw_os_error("cannot run " + words.front(), command.error);
    }
    return {std::move(process), std::move(ready.read)};
}

}  // namespace shoal::node
