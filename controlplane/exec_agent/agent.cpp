// One poll(2) over everything.
#include "controlplane/exec_agent/agent.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <span>
#include <string>

#include "devices/host/os_error.h"

namespace shoal::exec_agent {

int Agent::run() {
    while (program_ != 0) {
        wait_for_events();
    }
    return status_;
}

void Agent::wait_for_events() {
    std::vector<pollfd> entries{{signals_.get(), POLLIN, 0}, {listener_.get(), POLLIN, 0}};
    for (const auto& command : commands_) {
        const auto wanted = command->waits_for();
        entries.insert(entries.end(), wanted.begin(), wanted.end());
    }
    if (::poll(entries.data(), entries.size(), -1) < 0 && errno != EINTR) {
        host::throw_os_error("poll");
    }
    for (std::size_t at = 0; at < commands_.size(); ++at) {
        commands_[at]->on_events(
            std::span{entries}.subspan(2 + at * Command::poll_entries, Command::poll_entries));
    }
    if (entries[0].revents != 0) {
        reap();
    }
    std::erase_if(commands_, [](const auto& command) { return command->is_over(); });
    if (entries[1].revents != 0) {
        admit();
    }
}

void Agent::admit() {
    host::UniqueFd connection{
        ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!connection) {
        return;
    }
    commands_.push_back(std::make_unique<Command>(std::move(connection)));
    if (commands_.size() > exec::max_commands) {
        commands_.back()->refuse("the microVM runs " + std::to_string(exec::max_commands) +
                                 " commands already");
    }
}

// Children that others have left behind are ours, too.
void Agent::reap() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) > 0) {
    }
    int status = 0;
    for (pid_t child = 0; (child = ::waitpid(-1, &status, WNOHANG)) > 0;) {
        if (child == program_) {
            program_ = 0;
            status_ = status;
        }
        for (const auto& command : commands_) {
            if (command->on_child_ended(child, status)) {
                break;
            }
        }
    }
}

}  // namespace shoal::exec_agent
