// System calls about the process and the machine. Everybody is root.
#include <asm/prctl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/utsname.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>

#include "guest/kernel/clock.h"
#include "guest/kernel/process_table.h"
#include "guest/kernel/random.h"
#include "guest/kernel/resource_limits.h"
#include "guest/kernel/sched/cpu_time.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/kernel/syscalls/calls.h"
#include "guest/kernel/syscalls/duration.h"
#include "guest/kernel/system_name.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest {
namespace {

template <typename T>
std::int64_t give(UserAddress to, const T& value) {
    return copy_to_user(to, &value, sizeof value) ? 0 : negative(Errno::fault);
}

std::int64_t set_limit(Process& process, std::uint64_t resource, UserAddress from) {
    rlimit64 limit{};
    if (!copy_from_user(&limit, from, sizeof limit)) {
        return negative(Errno::fault);
    }
    const auto set = process.limits.set(resource, limit);
    if (set && resource == RLIMIT_NOFILE) {
        process.files.table.set_open_limit(limit.rlim_cur);
    }
    return set ? 0 : negative(set.error());
}

// The sets that a version of capget(2) has, of 32 bits each; 0 for one that is not known, and then
// the newest one goes to the header.
std::int64_t capability_sets(UserAddress header_at, std::size_t& sets) {
    __user_cap_header_struct header{};
    if (!copy_from_user(&header, header_at, sizeof header)) {
        return negative(Errno::fault);
    }
    sets = header.version == _LINUX_CAPABILITY_VERSION_1   ? _LINUX_CAPABILITY_U32S_1
           : header.version == _LINUX_CAPABILITY_VERSION_2 ? _LINUX_CAPABILITY_U32S_2
           : header.version == _LINUX_CAPABILITY_VERSION_3 ? _LINUX_CAPABILITY_U32S_3
                                                           : 0;
    header.version = _LINUX_CAPABILITY_VERSION_3;
    return sets == 0 ? give(header_at, header) : 0;
}

// 0 is the caller itself.
Process* process_of(Process& caller, std::uint64_t id) {
    return static_cast<int>(id) == 0 ? &caller : find_process(static_cast<int>(id));
}

}  // namespace

std::int64_t sys_getpid(Process& process, const Arguments&) {
    return process.id;
}

std::int64_t sys_gettid(Process&, const Arguments&) {
    return current_thread().id;
}

std::int64_t sys_getppid(Process& process, const Arguments&) {
    return process.parent == nullptr ? 0 : process.parent->id;
}

std::int64_t sys_get_zero(Process&, const Arguments&) {
    return 0;
}

std::int64_t sys_succeed(Process&, const Arguments&) {
    return 0;
}

std::int64_t sys_give_zeros(Process&, const Arguments& args) {
    const std::uint32_t zero = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        if (give(args[i], zero) != 0) {
            return negative(Errno::fault);
        }
    }
    return 0;
}

// All of them, and for ever.
std::int64_t sys_capget(Process&, const Arguments& args) {
    constexpr std::uint64_t all = (2ULL << CAP_LAST_CAP) - 1;
    std::size_t sets = 0;
    const std::int64_t failed = capability_sets(args[0], sets);
    if (failed != 0 || args[1] == 0) {
        return failed;
    }
    if (sets == 0) {
        return negative(Errno::inval);
    }
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
    data[0].effective = data[0].permitted = static_cast<std::uint32_t>(all);
    data[1].effective = data[1].permitted = static_cast<std::uint32_t>(all >> 32);
    return copy_to_user(args[1], data.data(), sets * sizeof data[0]) ? 0 : negative(Errno::fault);
}

std::int64_t sys_capset(Process&, const Arguments& args) {
    std::size_t sets = 0;
    const std::int64_t failed = capability_sets(args[0], sets);
    return failed == 0 && sets == 0 ? negative(Errno::inval) : failed;
}

std::int64_t sys_getpgid(Process& process, const Arguments& args) {
    const Process* of = process_of(process, args[0]);
    return of == nullptr ? negative(Errno::srch) : of->group;
}

std::int64_t sys_getpgrp(Process& process, const Arguments&) {
    return process.group;
}

std::int64_t sys_getsid(Process& process, const Arguments& args) {
    const Process* of = process_of(process, args[0]);
    return of == nullptr ? negative(Errno::srch) : of->session;
}

std::int64_t sys_setpgid(Process& process, const Arguments& args) {
    Process* of = process_of(process, args[0]);
    const auto group = static_cast<int>(args[1]);
    if (of == nullptr || (of != &process && of->parent != &process)) {
        return negative(Errno::srch);
    }
    if (group < 0) {
        return negative(Errno::inval);
    }
    of->group = group == 0 ? of->id : group;
    return 0;
}

std::int64_t sys_setsid(Process& process, const Arguments&) {
    if (process.group == process.id && process.id != first_process_id) {
        return negative(Errno::perm);
    }
    process.group = process.session = process.id;
    return process.id;
}

std::int64_t sys_set_tid_address(Process&, const Arguments& args) {
    current_thread().clear_child_tid = args[0];
    return current_thread().id;
}

std::int64_t sys_arch_prctl(Process&, const Arguments& args) {
    switch (args[0]) {
        case ARCH_SET_FS:
        case ARCH_SET_GS:
            if (args[1] >= user_end) {
                return negative(Errno::perm);
            }
            args[0] == ARCH_SET_FS ? set_fs_base(args[1]) : set_gs_base(args[1]);
            return 0;
        case ARCH_GET_FS:
            return give(args[1], fs_base());
        case ARCH_GET_GS:
            return give(args[1], gs_base());
    }
    return negative(Errno::inval);
}

std::int64_t sys_prctl(Process&, const Arguments& args) {
    auto& name = current_thread().name;
    switch (args[0]) {
        case PR_SET_NAME: {
            std::array<char, 16> wanted{};
            const auto length = copy_string_from_user(wanted, args[1]);
            if (!length && length.error() == Errno::fault) {
                return negative(Errno::fault);
            }
            wanted.back() = '\0';
            name = wanted;
            return 0;
        }
        case PR_GET_NAME:
            return give(args[1], name);
        case PR_SET_DUMPABLE:
        case PR_SET_NO_NEW_PRIVS:
        case PR_SET_PDEATHSIG:
            return 0;
    }
    return negative(Errno::inval);
}

std::int64_t sys_prlimit64(Process& process, const Arguments& args) {
    Process* const of = process_of(process, args[0]);
    if (of == nullptr) {
        return negative(Errno::srch);
    }
    const auto old = of->limits.get(args[1]);
    if (!old) {
        return negative(old.error());
    }
    const std::int64_t set = args[2] == 0 ? 0 : set_limit(*of, args[1], args[2]);
    return set != 0 || args[3] == 0 ? set : give(args[3], *old);
}

std::int64_t sys_getrlimit(Process& process, const Arguments& args) {
    const auto limit = process.limits.get(args[0]);
    return limit ? give(args[1], *limit) : negative(limit.error());
}

std::int64_t sys_setrlimit(Process& process, const Arguments& args) {
    return set_limit(process, args[0], args[1]);
}

// All CPU time counts as the program's own.
std::int64_t sys_getrusage(Process& process, const Arguments& args) {
    rusage usage{};
    switch (static_cast<int>(args[0])) {
        case RUSAGE_CHILDREN:
            usage.ru_utime = timeval_of(children_time_ns(process));
            return give(args[1], usage);
        case RUSAGE_SELF:
            usage.ru_utime = timeval_of(cpu_time_ns(process));
            break;
        case RUSAGE_THREAD:
            usage.ru_utime = timeval_of(cpu_time_ns(current_thread()));
            break;
        default:
            return negative(Errno::inval);
    }
    usage.ru_maxrss = static_cast<long>(process.memory->resident_bytes() / 1024);
    return give(args[1], usage);
}

std::int64_t sys_sysinfo(Process&, const Arguments& args) {
    struct sysinfo info {};
    info.uptime = static_cast<long>(monotonic_ns() / nanoseconds_per_second);
    info.totalram = physical_memory.total_bytes();
    info.freeram = physical_memory.free_bytes();
    info.procs = static_cast<unsigned short>(process_count());
    info.mem_unit = 1;
    return give(args[0], info);
}

std::int64_t sys_uname(Process&, const Arguments& args) {
    new_utsname name{};
    const auto set = [](char* to, std::string_view text) {
        std::memcpy(to, text.data(), text.size());
    };
    set(name.sysname, "Linux");
    set(name.nodename, "shoal");
    set(name.release, system_release);
    set(name.version, system_version);
    set(name.machine, "x86_64");
    set(name.domainname, "(none)");
    return give(args[0], name);
}

std::int64_t sys_getrandom(Process& process, const Arguments& args) {
    const std::uint64_t size = std::min<std::uint64_t>(args[1], 0x7FFF'FFFF);
    if (!process.memory->resolve_all(args[0], size, Access::write)) {
        return negative(Errno::fault);
    }
    fill_random({reinterpret_cast<std::byte*>(args[0]), size});
    return static_cast<std::int64_t>(size);
}

std::int64_t sys_getcpu(Process&, const Arguments& args) {
    const std::uint32_t node = 0;
    const bool given = (args[0] == 0 || give(args[0], this_cpu().index) == 0) &&
                       (args[1] == 0 || give(args[1], node) == 0);
    return given ? 0 : negative(Errno::fault);
}

std::int64_t sys_getgroups(Process&, const Arguments&) {
    return 0;
}

std::int64_t sys_sched_yield(Process&, const Arguments&) {
    yield();
    return 0;
}

std::int64_t sys_exit(Process&, const Arguments& args) {
    end_thread(W_EXITCODE(static_cast<int>(args[0] & 0xFF), 0));
}

std::int64_t sys_exit_group(Process&, const Arguments& args) {
    exit_process(static_cast<int>(args[0]));
}

}  // namespace shoal::guest
