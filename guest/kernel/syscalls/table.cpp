// The table of system calls. What is not in it returns ENOSYS; --trace-syscalls says so.
#include "guest/kernel/syscalls/table.h"

#include <asm/unistd.h>
#include <signal.h>

#include <array>
#include <string_view>

#include "guest/kernel/message.h"
#include "guest/kernel/net/socket.h"
#include "guest/kernel/patch/syscall_site.h"
#include "guest/kernel/sched/cpus.h"
#include "guest/kernel/syscalls/files.h"
#include "guest/kernel/syscalls/sockets.h"

namespace shoal::guest {
namespace {

using Handler = std::int64_t(Process&, const Arguments&);

// A call on files: EPIPE from it raises SIGPIPE, as write(2) says.
template <FileCall call>
std::int64_t file(Process& process, const Arguments& args) {
    const std::int64_t result = call(process.files, args);
    if (result == negative(Errno::pipe)) {
        process.signals.send(SIGPIPE);
    }
    return result;
}

// A call that sends, with its flags in argument `flags_idx`.
template <FileCall call, std::size_t flags_idx>
std::int64_t sending(Process& process, const Arguments& args) {
    const std::int64_t result = call(process.files, args);
    if (result == negative(Errno::pipe) && (args[flags_idx] & message_flags::no_signal) == 0) {
        process.signals.send(SIGPIPE);
    }
    return result;
}

// No file has extended attributes.
std::int64_t no_attributes(Process&, const Arguments&) {
    return negative(Errno::opnotsupp);
}

struct Call {
    unsigned number;
    std::string_view name;
    Handler* handler;
};

#define CALL(name, handler)         \
    Call {                          \
        __NR_##name, #name, handler \
    }

constexpr Call calls[] = {
    // Reading and writing
    CALL(read, file<sys_read>),
    CALL(write, file<sys_write>),
    CALL(readv, file<sys_readv>),
    CALL(writev, file<sys_writev>),
    CALL(pread64, file<sys_pread64>),
    CALL(pwrite64, file<sys_pwrite64>),
    CALL(preadv, file<sys_preadv>),
    CALL(pwritev, file<sys_pwritev>),
    CALL(preadv2, file<sys_preadv2>),
    CALL(pwritev2, file<sys_pwritev2>),
    CALL(lseek, file<sys_lseek>),
    CALL(sendfile, file<sys_sendfile>),
    CALL(copy_file_range, file<sys_copy_file_range>),
    CALL(splice, file<sys_splice>),
    CALL(tee, file<sys_tee>),
    CALL(vmsplice, file<sys_vmsplice>),
    // Descriptors
    CALL(open, file<sys_open>),
    CALL(openat, file<sys_openat>),
    CALL(creat, file<sys_creat>),
    CALL(close, file<sys_close>),
    CALL(close_range, file<sys_close_range>),
    CALL(pipe, file<sys_pipe>),
    CALL(pipe2, file<sys_pipe2>),
    CALL(dup, file<sys_dup>),
    CALL(dup2, file<sys_dup2>),
    CALL(dup3, file<sys_dup3>),
    CALL(fcntl, file<sys_fcntl>),
    CALL(ioctl, file<sys_ioctl>),
    CALL(flock, file<sys_flock>),
    CALL(poll, file<sys_poll>),
    CALL(ppoll, file<sys_ppoll>),
    CALL(select, file<sys_select>),
    CALL(pselect6, file<sys_pselect6>),
    // Events
    CALL(epoll_create, file<sys_epoll_create>),
    CALL(epoll_create1, file<sys_epoll_create1>),
    CALL(epoll_ctl, file<sys_epoll_ctl>),
    CALL(epoll_wait, file<sys_epoll_wait>),
    CALL(epoll_pwait, file<sys_epoll_pwait>),
    CALL(epoll_pwait2, file<sys_epoll_pwait2>),
    CALL(eventfd, file<sys_eventfd>),
    CALL(eventfd2, file<sys_eventfd2>),
    CALL(timerfd_create, file<sys_timerfd_create>),
    CALL(timerfd_settime, file<sys_timerfd_settime>),
    CALL(timerfd_gettime, file<sys_timerfd_gettime>),
    CALL(signalfd, file<sys_signalfd>),
    CALL(signalfd4, file<sys_signalfd4>),
    CALL(inotify_init, file<sys_inotify_init>),
    CALL(inotify_init1, file<sys_inotify_init1>),
    CALL(inotify_add_watch, file<sys_inotify_add_watch>),
    CALL(inotify_rm_watch, file<sys_inotify_rm_watch>),
    CALL(memfd_create, file<sys_memfd_create>),
    // Sockets
    CALL(socket, file<sys_socket>),
    CALL(socketpair, file<sys_socketpair>),
    CALL(bind, file<sys_bind>),
    CALL(listen, file<sys_listen>),
    CALL(accept, file<sys_accept>),
    CALL(accept4, file<sys_accept4>),
    CALL(connect, file<sys_connect>),
    CALL(shutdown, file<sys_shutdown>),
    CALL(getsockname, file<sys_getsockname>),
    CALL(getpeername, file<sys_getpeername>),
    Call{__NR_sendto, "sendto", sending<sys_sendto, 3>},
    Call{__NR_sendmsg, "sendmsg", sending<sys_sendmsg, 2>},
    Call{__NR_sendmmsg, "sendmmsg", sending<sys_sendmmsg, 3>},
    CALL(recvfrom, file<sys_recvfrom>),
    CALL(recvmsg, file<sys_recvmsg>),
    CALL(recvmmsg, file<sys_recvmmsg>),
    CALL(setsockopt, file<sys_setsockopt>),
    CALL(getsockopt, file<sys_getsockopt>),
    // What a file is
    CALL(stat, file<sys_stat>),
    CALL(lstat, file<sys_lstat>),
    CALL(fstat, file<sys_fstat>),
    CALL(newfstatat, file<sys_newfstatat>),
    CALL(statx, file<sys_statx>),
    CALL(statfs, file<sys_statfs>),
    CALL(fstatfs, file<sys_fstatfs>),
    CALL(access, file<sys_access>),
    CALL(faccessat, file<sys_faccessat>),
    CALL(faccessat2, file<sys_faccessat2>),
    CALL(readlink, file<sys_readlink>),
    CALL(readlinkat, file<sys_readlinkat>),
    CALL(getdents64, file<sys_getdents64>),
    CALL(getxattr, no_attributes),
    CALL(lgetxattr, no_attributes),
    CALL(fgetxattr, no_attributes),
    CALL(listxattr, no_attributes),
    CALL(llistxattr, no_attributes),
    CALL(flistxattr, no_attributes),
    CALL(setxattr, no_attributes),
    CALL(lsetxattr, no_attributes),
    CALL(fsetxattr, no_attributes),
    CALL(removexattr, no_attributes),
    CALL(lremovexattr, no_attributes),
    CALL(fremovexattr, no_attributes),
    // Changing a file
    CALL(truncate, file<sys_truncate>),
    CALL(ftruncate, file<sys_ftruncate>),
    CALL(fallocate, file<sys_fallocate>),
    CALL(chmod, file<sys_chmod>),
    CALL(fchmod, file<sys_fchmod>),
    CALL(fchmodat, file<sys_fchmodat>),
    CALL(chown, file<sys_chown>),
    CALL(lchown, file<sys_lchown>),
    CALL(fchown, file<sys_fchown>),
    CALL(fchownat, file<sys_fchownat>),
    CALL(utime, file<sys_utime>),
    CALL(utimes, file<sys_utimes>),
    CALL(futimesat, file<sys_futimesat>),
    CALL(utimensat, file<sys_utimensat>),
    CALL(sync, file<sys_sync>),
    CALL(fsync, file<sys_fsync>),
    CALL(fdatasync, file<sys_fdatasync>),
    CALL(syncfs, file<sys_syncfs>),
    CALL(sync_file_range, file<sys_sync_file_range>),
    CALL(fadvise64, file<sys_fadvise64>),
    CALL(readahead, file<sys_readahead>),
    // Names
    CALL(getcwd, file<sys_getcwd>),
    CALL(chdir, file<sys_chdir>),
    CALL(fchdir, file<sys_fchdir>),
    CALL(umask, file<sys_umask>),
    CALL(mkdir, file<sys_mkdir>),
    CALL(mkdirat, file<sys_mkdirat>),
    CALL(rmdir, file<sys_rmdir>),
    CALL(unlink, file<sys_unlink>),
    CALL(unlinkat, file<sys_unlinkat>),
    CALL(rename, file<sys_rename>),
    CALL(renameat, file<sys_renameat>),
    CALL(renameat2, file<sys_renameat2>),
    CALL(link, file<sys_link>),
    CALL(linkat, file<sys_linkat>),
    CALL(symlink, file<sys_symlink>),
    CALL(symlinkat, file<sys_symlinkat>),
    // Memory
    CALL(brk, sys_brk),
    CALL(mmap, sys_mmap),
    CALL(munmap, sys_munmap),
    CALL(mprotect, sys_mprotect),
    CALL(mremap, sys_mremap),
    CALL(madvise, sys_madvise),
    CALL(msync, sys_msync),
    CALL(mlock, sys_succeed),  // nothing is ever swapped out
    CALL(munlock, sys_succeed),
    CALL(mlockall, sys_succeed),
    CALL(munlockall, sys_succeed),
    // The process
    CALL(getpid, sys_getpid),
    CALL(gettid, sys_gettid),
    CALL(getppid, sys_getppid),
    CALL(getpgrp, sys_getpgrp),
    CALL(getpgid, sys_getpgid),
    CALL(getsid, sys_getsid),
    CALL(setpgid, sys_setpgid),
    CALL(setsid, sys_setsid),
    CALL(getuid, sys_get_zero),
    CALL(geteuid, sys_get_zero),
    CALL(getgid, sys_get_zero),
    CALL(getegid, sys_get_zero),
    CALL(getgroups, sys_getgroups),
    CALL(setuid, sys_succeed),
    CALL(setgid, sys_succeed),
    CALL(setresuid, sys_succeed),
    CALL(setresgid, sys_succeed),
    CALL(setreuid, sys_succeed),
    CALL(setregid, sys_succeed),
    CALL(setgroups, sys_succeed),
    CALL(setfsuid, sys_get_zero),
    CALL(setfsgid, sys_get_zero),
    CALL(getresuid, sys_give_zeros),
    CALL(getresgid, sys_give_zeros),
    CALL(capget, sys_capget),
    CALL(capset, sys_capset),
    CALL(set_tid_address, sys_set_tid_address),
    CALL(set_robust_list, sys_set_robust_list),
    CALL(get_robust_list, sys_get_robust_list),
    CALL(arch_prctl, sys_arch_prctl),
    CALL(prctl, sys_prctl),
    CALL(prlimit64, sys_prlimit64),
    CALL(getrlimit, sys_getrlimit),
    CALL(setrlimit, sys_setrlimit),
    CALL(getrusage, sys_getrusage),
    CALL(sysinfo, sys_sysinfo),
    CALL(uname, sys_uname),
    CALL(getrandom, sys_getrandom),
    CALL(sched_yield, sys_sched_yield),
    CALL(sched_getaffinity, sys_sched_getaffinity),
    CALL(sched_setaffinity, sys_sched_setaffinity),
    CALL(getcpu, sys_getcpu),
    CALL(futex, sys_futex),
    CALL(clone, sys_clone),
    CALL(clone3, sys_clone3),
    CALL(fork, sys_fork),
    CALL(vfork, sys_vfork),
    CALL(execve, sys_execve),
    CALL(wait4, sys_wait4),
    CALL(waitid, sys_waitid),
    CALL(exit, sys_exit),
    CALL(exit_group, sys_exit_group),
    // Time
    CALL(clock_gettime, sys_clock_gettime),
    CALL(clock_getres, sys_clock_getres),
    CALL(gettimeofday, sys_gettimeofday),
    CALL(time, sys_time),
    CALL(times, sys_times),
    CALL(nanosleep, sys_nanosleep),
    CALL(clock_nanosleep, sys_clock_nanosleep),
    CALL(setitimer, sys_setitimer),
    CALL(getitimer, sys_getitimer),
    CALL(alarm, sys_alarm),
    CALL(timer_create, sys_timer_create),
    CALL(timer_settime, sys_timer_settime),
    CALL(timer_gettime, sys_timer_gettime),
    CALL(timer_getoverrun, sys_timer_getoverrun),
    CALL(timer_delete, sys_timer_delete),
    // Signals (rt_sigreturn: serve_syscall, since it returns elsewhere)
    CALL(rt_sigaction, sys_rt_sigaction),
    CALL(rt_sigprocmask, sys_rt_sigprocmask),
    CALL(rt_sigpending, sys_rt_sigpending),
    CALL(sigaltstack, sys_sigaltstack),
    CALL(rt_sigsuspend, sys_rt_sigsuspend),
    CALL(rt_sigtimedwait, sys_rt_sigtimedwait),
    CALL(rt_sigqueueinfo, sys_rt_sigqueueinfo),
    CALL(pause, sys_pause),
    CALL(kill, sys_kill),
    CALL(tkill, sys_tkill),
    CALL(tgkill, sys_tgkill),
};

#undef CALL

constexpr unsigned table_size = 512;

consteval std::array<const Call*, table_size> by_number() {
    std::array<const Call*, table_size> table{};
    for (const Call& call : calls) {
        table[call.number] = &call;
    }
    return table;
}

constinit const std::array<const Call*, table_size> table = by_number();

void trace(std::uint64_t number, const Call* call, const Arguments& args, std::int64_t result) {
    Message text;
    if (call == nullptr) {
        text << "shoal: missing system call ";
        text.decimal(static_cast<std::int64_t>(number)) << "\n";
    } else {
        text << "shoal: " << call->name << "(";
        text.hex(args[0]) << ", ";
        text.hex(args[1]) << ", ";
        text.hex(args[2]) << ") = ";
        text.decimal(result) << "\n";
    }
    print_message(text.view());
}

}  // namespace

void serve_syscall(Process& process, Registers& registers) {
    const std::uint64_t number = registers.rax;
    const Call* call = number < table_size ? table[number] : nullptr;
    const Arguments args{registers.rdi, registers.rsi, registers.rdx,
                         registers.r10, registers.r8,  registers.r9};
    if (process.tracing == Tracing::on && (number == __NR_exit || number == __NR_exit_group)) {
        trace(number, call, args, 0);  // it does not return
    }
    const std::int64_t result =
        call == nullptr ? negative(Errno::nosys) : call->handler(process, args);
    registers.rax = static_cast<std::uint64_t>(result);
    if (process.tracing == Tracing::on) {
        trace(number, call, args, result);
    }
}

}  // namespace shoal::guest

// Returns 1 when every register must be loaded, 0 when those that a system call keeps will do.
// Signals are delivered on the way out (shoal_handle_interrupt).
extern "C" int shoal_handle_syscall(shoal::guest::Registers* registers) {
    using namespace shoal::guest;
    const KernelLock lock;
    Thread& thread = current_thread();
    Process& self = *thread.process;
    if (!is_stub_address(registers->rip)) {
        self.memory->patcher.note(*self.memory, registers->rip);
    }
    if (registers->rax == __NR_rt_sigreturn) {
        thread.call = Thread::no_call;
        if (!return_from_handler(*registers)) {
            die_of_signal(SIGSEGV);
        }
        return 1;
    }
    thread.call = registers->rax;
    serve_syscall(self, *registers);
    return 0;
}
