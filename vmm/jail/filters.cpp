// The lists. A call that is missing ends the process with its number.
#include "vmm/jail/filters.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "vmm/jail/program.h"

namespace shoal::jail {
namespace {

using Check = Rule::Check;

constexpr std::uint32_t number(unsigned long request) {
    return static_cast<std::uint32_t>(request);
}

// A request whose struct ends in an array: in C++ its size, and so its number, is another.
constexpr std::uint32_t with_head(unsigned long request, std::uint32_t head_bytes) {
    constexpr std::uint32_t size_bits = _IOC_SIZEMASK << _IOC_SIZESHIFT;
    return (number(request) & ~size_bits) | head_bytes << _IOC_SIZESHIFT;
}

// What one role may, and more.
template <typename T, std::size_t N, std::size_t M>
constexpr std::array<T, N + M> joined(const std::array<T, N>& one, const std::array<T, M>& more) {
    std::array<T, N + M> all{};
    std::ranges::copy(more, std::ranges::copy(one, all.begin()).out);
    return all;
}

// Those that are called for every exit come first.
constexpr std::array device_requests{
    number(KVM_RUN),       number(KVM_SIGNAL_MSI),    with_head(KVM_SET_GSI_ROUTING, 8),
    number(KVM_IRQFD),     number(KVM_IOEVENTFD),     number(KVM_GET_REGS),
    number(KVM_GET_SREGS), number(TUNSETOFFLOAD),     number(BLKDISCARD),
    number(FIONBIO),       number(KVM_KVMCLOCK_CTRL),
};

constexpr std::array more_requests{
    number(UFFDIO_COPY), number(UFFDIO_ZEROPAGE), number(UFFDIO_WAKE), number(KVM_GET_DIRTY_LOG),
    // The state of a microVM.
    number(KVM_SET_REGS), number(KVM_SET_SREGS), with_head(KVM_GET_MSRS, 8),
    with_head(KVM_SET_MSRS, 8), number(KVM_GET_LAPIC), number(KVM_SET_LAPIC),
    with_head(KVM_GET_XSAVE, 4096), with_head(KVM_SET_XSAVE, 4096), with_head(KVM_GET_XSAVE2, 4096),
    number(KVM_GET_XCRS), number(KVM_SET_XCRS), number(KVM_GET_VCPU_EVENTS),
    number(KVM_SET_VCPU_EVENTS), number(KVM_GET_DEBUGREGS), number(KVM_SET_DEBUGREGS),
    number(KVM_GET_MP_STATE), number(KVM_SET_MP_STATE), number(KVM_GET_TSC_KHZ),
    number(KVM_SET_TSC_KHZ), number(KVM_GET_CLOCK), number(KVM_SET_CLOCK),
    // Making one.
    number(KVM_GET_API_VERSION), number(KVM_CHECK_EXTENSION), number(KVM_CREATE_VM),
    number(KVM_SET_IDENTITY_MAP_ADDR), number(KVM_SET_TSS_ADDR), number(KVM_SET_USER_MEMORY_REGION),
    number(KVM_ENABLE_CAP), number(KVM_GET_VCPU_MMAP_SIZE), number(KVM_CREATE_VCPU),
    with_head(KVM_GET_SUPPORTED_CPUID, 8), with_head(KVM_SET_CPUID2, 8),
    with_head(KVM_GET_CPUID2, 8), with_head(KVM_GET_MSR_INDEX_LIST, 4), number(USERFAULTFD_IOC_NEW),
    number(UFFDIO_API), number(UFFDIO_REGISTER), number(TUNSETIFF), number(TUNGETIFF),
    number(TUNSETVNETHDRSZ), number(BLKGETSIZE64), number(BLKSSZGET), number(FICLONE),
    number(TCGETS),  // the C library asks whether stdout is a terminal
};
constexpr auto service_requests = joined(device_requests, more_requests);

constexpr std::array device_families{std::uint32_t{AF_UNIX}};
constexpr auto service_families =
    joined(device_families, std::array{std::uint32_t{AF_INET}, std::uint32_t{AF_INET6}});

// A thread and a fork, as the C library makes them: nothing else, no namespace above all.
constexpr std::uint32_t thread_flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND |
                                       CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
                                       CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
constexpr std::uint32_t fork_flags = CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD;
constexpr std::array device_clones{thread_flags};
constexpr auto service_clones = joined(device_clones, std::array{fork_flags});

constexpr std::array executable{std::uint32_t{PROT_EXEC}};
constexpr std::array device_prctls{std::uint32_t{PR_SET_NAME}, std::uint32_t{PR_GET_NAME}};
constexpr auto service_prctls = joined(
    device_prctls, std::array{std::uint32_t{PR_SET_PDEATHSIG}, std::uint32_t{PR_SET_NO_NEW_PRIVS}});
constexpr std::array of_descriptor{std::uint32_t{AT_EMPTY_PATH}};  // fstat(3)
constexpr std::array of_descriptor_or_link{std::uint32_t{AT_EMPTY_PATH},
                                           std::uint32_t{AT_SYMLINK_NOFOLLOW}};  // lstat(3)
// The vCPUs' threads: a filter can only be added to, and only for the thread itself.
constexpr std::array filter_flags{std::uint32_t{SECCOMP_FILTER_FLAG_SPEC_ALLOW}};
constexpr std::array advice{std::uint32_t{MADV_DONTNEED},      std::uint32_t{MADV_DONTFORK},
                            std::uint32_t{MADV_HUGEPAGE},      std::uint32_t{MADV_NOHUGEPAGE},
                            std::uint32_t{MADV_POPULATE_READ}, std::uint32_t{MADV_POPULATE_WRITE}};
constexpr std::array kill_signals{std::uint32_t{SIGKILL}};
constexpr std::array own_limits{std::uint32_t{0}};

using Values = std::span<const std::uint32_t>;

constexpr auto rules_of(Values requests, Values families, Values clones, Values prctls) {
    return std::array{
        Rule{SYS_ioctl, 1, Check::one_of, requests},
        Rule{SYS_mmap, 2, Check::without, executable},
        Rule{SYS_mprotect, 2, Check::without, executable},
        Rule{SYS_madvise, 2, Check::one_of, advice},
        Rule{SYS_socket, 0, Check::one_of, families},
        Rule{SYS_clone, 0, Check::one_of, clones},
        Rule{SYS_prctl, 0, Check::one_of, prctls},
    };
}

constexpr auto device_rules =
    rules_of(device_requests, device_families, device_clones, device_prctls);
constexpr auto vcpu_rules =
    joined(device_rules, std::array{Rule{SYS_newfstatat, 3, Check::one_of, of_descriptor}});
constexpr auto direct_rules =
    joined(device_rules, std::array{Rule{SYS_newfstatat, 3, Check::one_of, of_descriptor_or_link}});
constexpr auto service_rules =
    joined(rules_of(service_requests, service_families, service_clones, service_prctls),
           std::array{Rule{SYS_seccomp, 1, Check::one_of, filter_flags},
                      Rule{SYS_kill, 1, Check::one_of, kill_signals},
                      Rule{SYS_prlimit64, 0, Check::one_of, own_limits}});

template <typename... Numbers>
constexpr std::array<std::uint32_t, sizeof...(Numbers)> calls(Numbers... numbers) {
    return {static_cast<std::uint32_t>(numbers)...};
}

// What every thread may do: serve a guest with what is open.
constexpr auto device_calls = calls(
    // queues, disks, networks, streams
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev,
    SYS_preadv2, SYS_pwritev2, SYS_io_uring_enter, SYS_fsync, SYS_fdatasync, SYS_fallocate,
    SYS_lseek, SYS_recvfrom, SYS_sendto, SYS_recvmsg, SYS_sendmsg, SYS_connect, SYS_accept,
    SYS_accept4, SYS_shutdown, SYS_setsockopt, SYS_getsockopt, SYS_fcntl, SYS_close,
    // waiting
    SYS_futex, SYS_epoll_wait, SYS_epoll_pwait, SYS_epoll_ctl, SYS_poll, SYS_ppoll,
    SYS_timerfd_settime, SYS_eventfd2, SYS_sched_yield, SYS_clock_nanosleep, SYS_nanosleep,
    SYS_restart_syscall,
    // memory
    SYS_munmap, SYS_mremap, SYS_brk,
    // clocks, where the vDSO cannot read them
    SYS_clock_gettime, SYS_clock_getres, SYS_gettimeofday, SYS_time, SYS_getcpu,
    // threads and signals
    SYS_gettid, SYS_getpid, SYS_tgkill, SYS_rt_sigprocmask, SYS_rt_sigaction, SYS_rt_sigreturn,
    SYS_sigaltstack, SYS_sched_getaffinity, SYS_set_robust_list, SYS_rseq, SYS_exit, SYS_exit_group,
    // the rest
    SYS_getrandom);

// The end: the vsock device's socket goes, if it is still the one at its path.
constexpr auto direct_calls = calls(SYS_unlink);

// What the API asks for: files by their names, sockets that listen, memory, a child that writes a
// snapshot.
constexpr auto service_calls = calls(
    SYS_openat, SYS_newfstatat, SYS_statx, SYS_access, SYS_unlink, SYS_rename, SYS_link,
    SYS_ftruncate, SYS_bind, SYS_listen, SYS_getsockname, SYS_getpeername, SYS_memfd_create,
    SYS_userfaultfd, SYS_timerfd_create, SYS_timerfd_gettime, SYS_epoll_create1, SYS_pipe2, SYS_dup,
    SYS_io_uring_setup, SYS_io_uring_register, SYS_wait4, SYS_getppid, SYS_sysinfo, SYS_fadvise64);

constexpr Program vcpu_program = compile(vcpu_rules, {device_calls});
constexpr Program direct_program = compile(direct_rules, {device_calls, direct_calls});
constexpr Program service_program = compile(service_rules, {device_calls, service_calls});

}  // namespace

std::span<const sock_filter> filter_of(Role role) noexcept {
    const Program* program = &vcpu_program;
    switch (role) {
        case Role::vcpu:
            break;
        case Role::direct:
            program = &direct_program;
            break;
        case Role::service:
            program = &service_program;
            break;
    }
    return std::span{program->code}.first(program->size);
}

}  // namespace shoal::jail
