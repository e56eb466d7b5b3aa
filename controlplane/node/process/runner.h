// Runner: the processes of this host's microVMs, as the node agent sees them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/node/mirror/attempt.h"
#include "controlplane/node/process/cgroups.h"
#include "controlplane/node/process/run_folder.h"

namespace shoal::node {

// Told that something about a microVM's processes is new. On the loop's thread, from within no
// call.
class RunnerListener {
public:
    virtual ~RunnerListener() = default;
    virtual void on_attempt_changed(const std::string& name) = 0;
};

struct Launch {
    Attempt attempt;
    std::vector<std::string> words;  // the command, its path first
    std::string log;                 // the file that the output is appended to
    std::uint64_t time_limit_s = 0;  // 0: none
    CgroupLimits limits{};
    std::string request{};  // what the VMM is asked once it runs (run_folder.h); empty: nothing
};

enum class AttemptState {
    absent,
    starting,  // there are processes, but not yet the VMM
    running,
    ended,  // its processes are gone, its folder is not
};

struct Observation {
    AttemptState state = AttemptState::absent;
    std::optional<std::int64_t> started_ms;
    std::optional<Exit> exit;  // of one that has ended
};

[[nodiscard]] inline bool has_processes(const Observation& seen) noexcept {
    return seen.state == AttemptState::starting || seen.state == AttemptState::running;
}

class Runner {
public:
    virtual ~Runner() = default;

    // All of a microVM, whoever started them, also before this process.
    [[nodiscard]] virtual std::vector<Attempt> attempts(const std::string& name) const = 0;
    // The names of those microVMs.
    [[nodiscard]] virtual std::vector<std::string> names() const = 0;
    [[nodiscard]] virtual Observation observe(const Attempt& attempt) const = 0;
    // Where its VMM's API is, if it has one.
    [[nodiscard]] virtual std::string api_socket_of(const Attempt& attempt) const = 0;
    // The folder, on the disk, in which its VMM writes what is saved on other hosts.
    [[nodiscard]] virtual std::string save_folder_of(const Attempt& attempt) const = 0;
    // What its VMM opens by name whatever it runs, each PATH or PATH,ro (vmm/jail).
    [[nodiscard]] virtual std::vector<std::string> allowed_of(const Attempt& attempt) const = 0;

    // Of an absent one. Throws std::system_error, and then it is absent still.
    virtual void start(const Launch& launch) = 0;
    // Of one with processes: SIGTERM now, SIGKILL after `grace`. May be repeated.
    virtual void stop(const Attempt& attempt, std::chrono::milliseconds grace) = 0;
    // Deletes what is left of one that has ended.
    virtual void discard(const Attempt& attempt) = 0;
};

}  // namespace shoal::node
