// shoal-exec-agent: the first program of a guest that offers exec. Starts the guest's own program,
// and ends as that does.
#include <linux/vm_sockets.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <vector>

#include "controlplane/exec/frame.h"
#include "controlplane/exec_agent/agent.h"
#include "controlplane/exec_agent/child.h"
#include "devices/host/os_error.h"

namespace {

using namespace shoal;

constexpr int exit_code_of_failure = 125;

host::UniqueFd listen_to_host() {
    constexpr int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
    host::UniqueFd listener{host::check_os(::socket(AF_VSOCK, type, 0), "a vsock socket")};
    sockaddr_vm address{};
    address.svm_family = AF_VSOCK;
    address.svm_cid = VMADDR_CID_ANY;
    address.svm_port = exec::agent_port;
    // SAFETY: the sockets' own way to pass an address.
    host::check_os(
        ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
        "the vsock port of exec");
    host::check_os(::listen(listener.get(), exec::max_commands), "listen");
    return listener;
}

host::UniqueFd watch_children() {
    std::signal(SIGPIPE, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    host::check_os(::sigprocmask(SIG_BLOCK, &set, nullptr), "sigprocmask");
    return host::UniqueFd{
        host::check_os(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd")};
}

// By the same signal, so that whoever waits sees what happened.
int end_as(int status) {
    if (WIFSIGNALED(status)) {
        std::signal(WTERMSIG(status), SIG_DFL);
        ::kill(::getpid(), WTERMSIG(status));
        return 128 + WTERMSIG(status);  // It does not end the first process of Linux.
    }
    return WEXITSTATUS(status);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(
            stderr,
            "Usage: shoal-exec-agent PROGRAM NAME [ARGS...]\n"
            "In a guest: runs PROGRAM, whose argv[0] is NAME, and what shoal exec asks for "
            "on vsock port %u.\n",
            exec::agent_port);
        return exit_code_of_failure;
    }
    try {
        host::UniqueFd signals = watch_children();
        host::UniqueFd listener = listen_to_host();
        const pid_t program = exec_agent::start_program(argv[1], {argv + 2, argv + argc + 1});
        if (program == 0) {
            const int error = errno;
            std::fprintf(stderr, "shoal: cannot run %s: %s\n", argv[1], std::strerror(error));
            return error == ENOENT ? 127 : 126;
        }
        return end_as(exec_agent::Agent{std::move(listener), std::move(signals), program}.run());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "shoal-exec-agent: %s\n", error.what());
        return exit_code_of_failure;
    }
}
