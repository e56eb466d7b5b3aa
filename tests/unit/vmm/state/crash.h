// A crash between two changes of a folder: some work is done by a child process, which is killed
// before its n-th call that gives a file a name or takes one away.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <exception>

namespace shoal::state::testing {

enum class Fate { finished, crashed };

inline bool begins_naming(pid_t child) {
    __ptrace_syscall_info info{};
    const long size = ::ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info);
    constexpr std::array<unsigned long, 8> naming{SYS_link,      SYS_linkat, SYS_unlink,
                                                  SYS_unlinkat,  SYS_rename, SYS_renameat,
                                                  SYS_renameat2, SYS_symlink};
    return size > 0 && info.op == PTRACE_SYSCALL_INFO_ENTRY &&
           std::ranges::find(naming, info.entry.nr) != naming.end();
}

// `count` calls are let through. The work must not throw.
template <typename Work>
Fate crash_after(unsigned count, const Work& work) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::raise(SIGSTOP);
        int code = 0;
        try {
            work();
        } catch (const std::exception&) {
            code = 1;
        }
        ::_exit(code);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFSTOPPED(status));
    REQUIRE(::ptrace(PTRACE_SETOPTIONS, child, nullptr,
                     PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL) == 0);
    while (::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) == 0 &&
           ::waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        if (begins_naming(child) && count-- == 0) {
            ::kill(child, SIGKILL);
            REQUIRE(::waitpid(child, &status, 0) == child);
            return Fate::crashed;
        }
    }
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 0);
    return Fate::finished;
}

}  // namespace shoal::state::testing
