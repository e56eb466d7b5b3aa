// The system calls that are not about files (those: files.h). Each takes the six argument registers
// and returns what rax shall hold: the result, or minus an Errno.
#pragma once

#include <array>
#include <cstdint>

#include "guest/kernel/process.h"

namespace shoal::guest {

using Arguments = std::array<std::uint64_t, 6>;

// memory.cpp
std::int64_t sys_brk(Process& process, const Arguments& args);
std::int64_t sys_mmap(Process& process, const Arguments& args);
std::int64_t sys_munmap(Process& process, const Arguments& args);
std::int64_t sys_mprotect(Process& process, const Arguments& args);
std::int64_t sys_mremap(Process& process, const Arguments& args);
std::int64_t sys_madvise(Process& process, const Arguments& args);
std::int64_t sys_msync(Process& process, const Arguments& args);

// process.cpp: who the process is
std::int64_t sys_getpid(Process& process, const Arguments& args);
std::int64_t sys_gettid(Process& process, const Arguments& args);
std::int64_t sys_getppid(Process& process, const Arguments& args);
std::int64_t sys_getpgid(Process& process, const Arguments& args);
std::int64_t sys_getpgrp(Process& process, const Arguments& args);
std::int64_t sys_getsid(Process& process, const Arguments& args);
std::int64_t sys_setpgid(Process& process, const Arguments& args);
std::int64_t sys_setsid(Process& process, const Arguments& args);
std::int64_t sys_get_zero(Process& process, const Arguments& args);    // user and group ids
std::int64_t sys_succeed(Process& process, const Arguments& args);     // nothing to do, done
std::int64_t sys_give_zeros(Process& process, const Arguments& args);  // getresuid, getresgid
std::int64_t sys_capget(Process& process, const Arguments& args);
std::int64_t sys_capset(Process& process, const Arguments& args);
std::int64_t sys_set_tid_address(Process& process, const Arguments& args);
std::int64_t sys_arch_prctl(Process& process, const Arguments& args);
std::int64_t sys_prctl(Process& process, const Arguments& args);
std::int64_t sys_prlimit64(Process& process, const Arguments& args);
std::int64_t sys_getrlimit(Process& process, const Arguments& args);
std::int64_t sys_setrlimit(Process& process, const Arguments& args);
std::int64_t sys_getrusage(Process& process, const Arguments& args);
std::int64_t sys_sysinfo(Process& process, const Arguments& args);
std::int64_t sys_uname(Process& process, const Arguments& args);
std::int64_t sys_getrandom(Process& process, const Arguments& args);
std::int64_t sys_sched_getaffinity(Process& process, const Arguments& args);
std::int64_t sys_sched_setaffinity(Process& process, const Arguments& args);
std::int64_t sys_getcpu(Process& process, const Arguments& args);
std::int64_t sys_getgroups(Process& process, const Arguments& args);
std::int64_t sys_sched_yield(Process& process, const Arguments& args);
std::int64_t sys_exit(Process& process, const Arguments& args);
std::int64_t sys_exit_group(Process& process, const Arguments& args);

// futex.cpp
std::int64_t sys_futex(Process& process, const Arguments& args);
std::int64_t sys_set_robust_list(Process& process, const Arguments& args);
std::int64_t sys_get_robust_list(Process& process, const Arguments& args);

// clone.cpp, exec.cpp, wait.cpp
std::int64_t sys_clone(Process& process, const Arguments& args);
std::int64_t sys_clone3(Process& process, const Arguments& args);
std::int64_t sys_fork(Process& process, const Arguments& args);
std::int64_t sys_vfork(Process& process, const Arguments& args);
std::int64_t sys_execve(Process& process, const Arguments& args);
std::int64_t sys_wait4(Process& process, const Arguments& args);
std::int64_t sys_waitid(Process& process, const Arguments& args);

// time.cpp
std::int64_t sys_clock_gettime(Process& process, const Arguments& args);
std::int64_t sys_clock_getres(Process& process, const Arguments& args);
std::int64_t sys_gettimeofday(Process& process, const Arguments& args);
std::int64_t sys_time(Process& process, const Arguments& args);
std::int64_t sys_times(Process& process, const Arguments& args);
std::int64_t sys_nanosleep(Process& process, const Arguments& args);
std::int64_t sys_clock_nanosleep(Process& process, const Arguments& args);

// timers.cpp
std::int64_t sys_setitimer(Process& process, const Arguments& args);
std::int64_t sys_getitimer(Process& process, const Arguments& args);
std::int64_t sys_alarm(Process& process, const Arguments& args);
std::int64_t sys_timer_create(Process& process, const Arguments& args);
std::int64_t sys_timer_settime(Process& process, const Arguments& args);
std::int64_t sys_timer_gettime(Process& process, const Arguments& args);
std::int64_t sys_timer_getoverrun(Process& process, const Arguments& args);
std::int64_t sys_timer_delete(Process& process, const Arguments& args);

// signals.cpp
std::int64_t sys_rt_sigaction(Process& process, const Arguments& args);
std::int64_t sys_rt_sigprocmask(Process& process, const Arguments& args);
std::int64_t sys_rt_sigpending(Process& process, const Arguments& args);
std::int64_t sys_sigaltstack(Process& process, const Arguments& args);
std::int64_t sys_rt_sigsuspend(Process& process, const Arguments& args);
std::int64_t sys_rt_sigtimedwait(Process& process, const Arguments& args);
std::int64_t sys_rt_sigqueueinfo(Process& process, const Arguments& args);
std::int64_t sys_pause(Process& process, const Arguments& args);
std::int64_t sys_tkill(Process& process, const Arguments& args);
std::int64_t sys_kill(Process& process, const Arguments& args);
std::int64_t sys_tgkill(Process& process, const Arguments& args);

}  // namespace shoal::guest
