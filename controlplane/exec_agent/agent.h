// Agent: beside a guest's program, runs what the host asks for, for as long as the program lives.
#pragma once

#include <sys/types.h>

#include <memory>
#include <vector>

#include "controlplane/exec_agent/command.h"
#include "devices/host/unique_fd.h"

namespace shoal::exec_agent {

class Agent {
public:
    // A socket that listens, and a signalfd of SIGCHLD, both non-blocking. `program` is a child.
    Agent(host::UniqueFd listener, host::UniqueFd signals, pid_t program)
        : listener_{std::move(listener)}, signals_{std::move(signals)}, program_{program} {}

    // Until the program has ended; its wait status. Throws std::system_error.
    [[nodiscard]] int run();

private:
    void wait_for_events();
    void admit();
    void reap();

    host::UniqueFd listener_;
    host::UniqueFd signals_;
    pid_t program_;  // 0: it has ended
    int status_ = 0;
    std::vector<std::unique_ptr<Command>> commands_;
};

}  // namespace shoal::exec_agent
