// wait4(2) and waitid(2).
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "guest/kernel/process_table.h"
#include "guest/kernel/sched/cpu_time.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/kernel/syscalls/calls.h"
#include "guest/kernel/syscalls/duration.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest {
namespace {

constexpr std::uint64_t wait4_options =
    WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;

// Which children: as waitpid(2) has it.
struct Wanted {
    int process = -1;  // > 0 that one; 0 the caller's group; -1 all; < -1 that group

    [[nodiscard]] bool holds(const Process& caller, const Process& child) const {
        if (process > 0) {
            return child.id == process;
        }
        return process == -1 || child.group == (process == 0 ? caller.group : -process);
    }
};

struct Found {
    bool any = false;          // such a child, ended or not
    Process* ended = nullptr;  // one that has ended
};

Found find(Process& caller, const Wanted& wanted) {
    Found found;
    for (Process* child = caller.children.first(); child != nullptr;
         child = caller.children.behind(*child)) {
        if (wanted.holds(caller, *child)) {
            found.any = true;
            if (child->state == Process::State::ended) {
                found.ended = child;
                return found;
            }
        }
    }
    return found;
}

// An ended child; nullptr with WNOHANG if none has ended yet.
Result<Process*> await(Process& caller, const Wanted& wanted, std::uint64_t options) {
    Found found = find(caller, wanted);
    if (found.any && found.ended == nullptr && (options & WNOHANG) == 0) {
        const Wake wake = wait_until_true(caller.child_ended, no_deadline, [&] {
            found = find(caller, wanted);
            return !found.any || found.ended != nullptr;
        });
        if (wake != Wake::woken) {
            return fail(Errno::intr);
        }
    }
    return found.any ? Result<Process*>{found.ended} : fail(Errno::child);
}

bool store_usage(std::uint64_t address, const Process* child) {
    rusage usage{};
    if (child != nullptr) {
        usage.ru_utime = timeval_of(cpu_time_ns(*child) + children_time_ns(*child));
    }
    return address == 0 || copy_to_user(address, &usage, sizeof usage);
}

}  // namespace

std::int64_t sys_wait4(Process& process, const Arguments& args) {
    const auto [pid, status, options, usage, unused1, unused2] = args;
    if ((options & ~wait4_options) != 0) {
        return negative(Errno::inval);
    }
    const auto child = await(process, {static_cast<int>(pid)}, options);
    if (!child || *child == nullptr) {
        return child ? 0 : negative(child.error());
    }
    const int id = (*child)->id;
    const int wait_status = (*child)->wait_status;
    if ((status != 0 && !copy_to_user(status, &wait_status, sizeof wait_status)) ||
        !store_usage(usage, *child)) {
        return negative(Errno::fault);
    }
    keep_cpu_time(process, **child);
    forget_process(**child);
    return id;
}

std::int64_t sys_waitid(Process& process, const Arguments& args) {
    const auto [type, id, info, options, usage, unused] = args;
    Wanted wanted;
    switch (type) {
        case P_ALL:
            break;
        case P_PID:
            wanted.process = static_cast<int>(id);
            break;
        case P_PGID:
            wanted.process = id == 0 ? 0 : -static_cast<int>(id);
            break;
        default:
            return negative(Errno::inval);
    }
    if ((options & WEXITED) == 0 || (type == P_PID && wanted.process <= 0)) {
        return negative(Errno::inval);
    }
    const auto child = await(process, wanted, options);
    if (!child) {
        return negative(child.error());
    }
    siginfo_t result{};
    if (*child != nullptr) {
        const int status = (*child)->wait_status;
        result.si_signo = SIGCHLD;
        result.si_code = WIFEXITED(status) ? CLD_EXITED : CLD_KILLED;
        result.si_pid = (*child)->id;
        result.si_status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
    }
    if ((info != 0 && !copy_to_user(info, &result, sizeof result)) || !store_usage(usage, *child)) {
        return negative(Errno::fault);
    }
    if (*child != nullptr && (options & WNOWAIT) == 0) {
        keep_cpu_time(process, **child);
        forget_process(**child);
    }
    return 0;
}

}  // namespace shoal::guest
