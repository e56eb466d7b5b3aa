// Supervisor: runs one VMM, keeps its output, ends it in time, and writes down how it ended, also
// while no shoald is there.
//
// SIGTERM ends the VMM: sent by sigqueue(3) it carries the milliseconds between SIGTERM and
// SIGKILL. If the supervisor is killed the kernel kills the VMM (PR_SET_PDEATHSIG).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "controlplane/node/process/run_folder.h"
#include "controlplane/supervisor/first_request.h"
#include "controlplane/supervisor/log_file.h"
#include "devices/host/unique_fd.h"

namespace shoal::supervisor {

struct Order {
    std::string log;
    std::uint64_t log_limit_bytes = 0;
    std::uint64_t time_limit_s = 0;  // 0: none
    std::string cgroups;             // files to write "0" to, between colons; "-": none
    std::span<char*> words;          // the command, its path first
};

class Supervisor {
public:
    // The working directory is the run folder; its lock and the pipe are open as run_folder.h says.
    // Throws std::system_error.
    explicit Supervisor(const Order& order);

    // Starts the command, waits for its end, and writes it down.
    void run();

private:
    void start();
    void wait_for_event();
    void on_signal();
    void on_deadline();
    void end(std::string reason, std::chrono::milliseconds grace);
    bool drain();
    [[nodiscard]] bool reap();

    Order order_;
    LogFile log_;
    FirstRequest first_request_;
    host::UniqueFd signals_;
    host::UniqueFd timer_;
    host::UniqueFd output_;
    pid_t child_ = 0;
    std::string reason_;  // why it is being ended; empty: it is not
    bool is_timed_out_ = false;
    std::optional<node::Exit> exit_;
};

}  // namespace shoal::supervisor
