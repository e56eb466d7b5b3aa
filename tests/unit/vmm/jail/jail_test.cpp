// Children that enter the jail and then call the kernel.
#include "vmm/jail/jail.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "devices/host/pipe.h"
#include "devices/host/unique_fd.h"
#include "vmm/jail/landlock.h"

namespace shoal::jail {
namespace {

constexpr int failed_to_enter = 99;

struct End {
    int code = -1;  // -1: by a signal
    std::string said;
};

// What becomes of a process that does this.
End end_of(const std::function<void()>& body) {
    host::Pipe errors = host::make_pipe();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::dup2(errors.write.get(), STDERR_FILENO);
        try {
            body();
        } catch (const std::system_error&) {
            ::_exit(failed_to_enter);
        }
        ::_exit(0);
    }
    errors.write = {};
    End end;
    std::array<char, 512> buffer;
    for (ssize_t size = 0; (size = ::read(errors.read.get(), buffer.data(), buffer.size())) > 0;) {
        end.said.append(buffer.data(), static_cast<std::size_t>(size));
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    end.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return end;
}

struct Call {
    std::string_view name;
    long number;
    std::array<long, 4> arguments{};

    void make() const {
        ::syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], 0, 0);
    }
};

// SAFETY: the kernel takes addresses as numbers.
long address(const char* text) {
    return reinterpret_cast<long>(text);
}

const std::array nobody_may{
    Call{"execve", SYS_execve, {address("/bin/true"), 0, 0}},
    Call{"execveat", SYS_execveat, {AT_FDCWD, address("/bin/true"), 0, 0}},
    Call{"ptrace", SYS_ptrace},
    Call{"process_vm_writev", SYS_process_vm_writev},
    Call{"unshare", SYS_unshare, {CLONE_NEWUSER}},
    Call{"setns", SYS_setns},
    Call{"mount", SYS_mount},
    Call{"chroot", SYS_chroot},
    Call{"bpf", SYS_bpf},
    Call{"perf_event_open", SYS_perf_event_open},
    Call{"keyctl", SYS_keyctl},
    Call{"init_module", SYS_init_module},
    Call{"setuid", SYS_setuid},
    Call{"personality", SYS_personality},
    Call{"open", SYS_open, {address("/etc/shadow"), O_RDONLY}},
    Call{"a process in a namespace", SYS_clone, {CLONE_NEWUSER | SIGCHLD}},
    Call{"code that can be written", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE}},
    Call{"code out of data", SYS_mprotect, {0, 4096, PROT_EXEC}},
    Call{"letters into a terminal", SYS_ioctl, {0, TIOCSTI}},
    Call{"a socket of the kernel's", SYS_socket, {AF_NETLINK, SOCK_RAW}},
    Call{"a packet socket", SYS_socket, {AF_PACKET, SOCK_RAW}},
    Call{"dumps", SYS_prctl, {PR_SET_DUMPABLE, 1}},
    Call{"x32", 0x4000'0000 | SYS_getpid},
    Call{"none that there is", 100'000},
};

const std::array service_alone_may{
    Call{"openat", SYS_openat, {AT_FDCWD, address("/etc/shadow"), O_RDONLY}},
    Call{"stat", SYS_newfstatat, {AT_FDCWD, address("/"), 0, 0}},
    Call{"rename", SYS_rename},
    Call{"TCP", SYS_socket, {AF_INET, SOCK_STREAM}},
    Call{"TCP on IPv6", SYS_socket, {AF_INET6, SOCK_STREAM}},
    Call{"bind", SYS_bind, {-1}},
    Call{"memfd_create", SYS_memfd_create, {address("x"), 0}},
    Call{"io_uring_setup", SYS_io_uring_setup},
    Call{"a TAP", SYS_ioctl, {-1, 0x400454ca}},
    Call{"a VM", SYS_ioctl, {-1, KVM_CREATE_VM}},
    Call{"kill", SYS_kill, {0x7FFF'FFFF, SIGKILL}},
    Call{"a filter", SYS_seccomp, {1, 4, 0}},
};

const std::array everybody_may{
    Call{"read", SYS_read, {-1}},
    Call{"KVM_RUN", SYS_ioctl, {-1, KVM_RUN}},
    Call{"a local socket", SYS_socket, {AF_UNIX, SOCK_STREAM}},
    Call{"memory", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS}},
    Call{"fstat", SYS_newfstatat, {0, address(""), 0, AT_EMPTY_PATH}},
    Call{"futex", SYS_futex},
    Call{"the time", SYS_clock_gettime},
    Call{"io_uring_enter", SYS_io_uring_enter, {-1}},
};

constexpr std::array roles{Role::vcpu, Role::direct, Role::service};

void check_dies(Role role, const Call& call) {
    CAPTURE(static_cast<int>(role));
    CAPTURE(call.name);
    const End end = end_of([&] {
        Jail{{}}.enter(role);
        call.make();
    });
    CHECK(end.code == bad_call_exit_code);
    const std::string number = std::to_string(call.number);
    CHECK(end.said.starts_with("shoal-vmm: system call " + number + " is not allowed"));
    CHECK(end.said.ends_with("\n"));
}

void check_lives(Role role, const Call& call) {
    CAPTURE(static_cast<int>(role));
    CAPTURE(call.name);
    const End end = end_of([&] {
        Jail{{}}.enter(role);
        call.make();
    });
    CHECK(end.code == 0);
    CHECK(end.said.empty());
}

}  // namespace

TEST_CASE("jail: a call that is not allowed ends the process with its number and 148" *
          doctest::skip(is_sanitized)) {
    for (const Role role : roles) {
        for (const Call& call : nobody_may) {
            check_dies(role, call);
        }
    }
}

TEST_CASE("jail: files, names and the network are for the thread that serves the API" *
          doctest::skip(is_sanitized)) {
    for (const Call& call : service_alone_may) {
        check_dies(Role::vcpu, call);
        check_dies(Role::direct, call);
        check_lives(Role::service, call);
    }
}

TEST_CASE("jail: what serves a guest is allowed to every thread" * doctest::skip(is_sanitized)) {
    for (const Role role : roles) {
        for (const Call& call : everybody_may) {
            check_lives(role, call);
        }
    }
    check_lives(Role::direct, {"unlink", SYS_unlink, {address("/no/such/file")}});
    const Call lstat{"lstat", SYS_newfstatat, {AT_FDCWD, address("/"), 0, AT_SYMLINK_NOFOLLOW}};
    check_lives(Role::direct, lstat);
    check_dies(Role::vcpu, lstat);
    check_dies(Role::vcpu, {"unlink", SYS_unlink, {address("/no/such/file")}});
}

TEST_CASE("jail: every thread may start threads, and only the service a child" *
          doctest::skip(is_sanitized)) {
    for (const Role role : roles) {
        const End thread = end_of([role] {
            Jail{{}}.enter(role);
            std::thread{[] { ::getuid(); }}.join();  // which inherits the filter
        });
        CHECK(thread.code == bad_call_exit_code);
        const End child = end_of([role] {
            Jail{{}}.enter(role);
            const pid_t pid = ::fork();
            if (pid == 0) {
                ::_exit(0);
            }
            int status = -1;
            ::_exit(::waitpid(pid, &status, 0) == pid ? status : 1);
        });
        CHECK(child.code == (role == Role::service ? 0 : bad_call_exit_code));
    }
}

TEST_CASE("jail: a thread may go further in than who started it, and not out again" *
          doctest::skip(is_sanitized)) {
    const Call open{"openat", SYS_openat, {AT_FDCWD, address("/dev/null"), O_RDONLY}};
    const auto vcpu_opens = [&open](bool opens) {
        return end_of([&open, opens] {
            const Jail jail{{}};
            jail.enter(Role::service);
            std::thread{[&] {
                jail.enter(Role::vcpu);
                if (opens) {
                    open.make();
                }
            }}.join();
            open.make();
        });
    };
    CHECK(vcpu_opens(false).code == 0);
    CHECK(vcpu_opens(true).code == bad_call_exit_code);
    const End back = end_of([&open] {
        const Jail jail{{}};
        jail.enter(Role::vcpu);
        jail.enter(Role::service);
    });
    CHECK(back.code == bad_call_exit_code);
}

TEST_CASE("jail: who catches or blocks the signal gets no further" * doctest::skip(is_sanitized)) {
    const Call execute{"execve", SYS_execve, {address("/bin/true"), 0, 0}};
    const End blocked = end_of([&execute] {
        Jail{{}}.enter(Role::vcpu);
        sigset_t signals;
        ::sigfillset(&signals);
        ::sigprocmask(SIG_BLOCK, &signals, nullptr);
        execute.make();
    });
    CHECK(blocked.code == -1);
    const End caught = end_of([&execute] {
        Jail{{}}.enter(Role::vcpu);
        ::signal(SIGSYS, [](int) {});
        execute.make();
        ::_exit(7);
    });
    CHECK(caught.code == 7);  // and not /bin/true's
}

TEST_CASE("jail: without filters everything goes") {
    const End end = end_of([] {
        Jail{{Filters::off, {}, {}}}.enter(Role::vcpu);
        ::_exit(::open("/dev/null", O_RDONLY) >= 0 ? 0 : 1);
    });
    CHECK(end.code == 0);
}

TEST_CASE("jail: with allowed paths, files elsewhere are not opened, made, moved or removed") {
    if (!has_landlock()) {
        MESSAGE("this kernel has no Landlock");
        return;
    }
    std::array<char, 64> in{"/tmp/shoal-jail-in-XXXXXX"};
    std::array<char, 64> out{"/tmp/shoal-jail-out-XXXXXX"};
    REQUIRE(::mkdtemp(in.data()) != nullptr);
    REQUIRE(::mkdtemp(out.data()) != nullptr);
    const std::string inside = in.data() + std::string{"/file"};
    const std::string outside = out.data() + std::string{"/file"};
    for (const std::string& path : {inside, outside}) {
        REQUIRE(host::UniqueFd{::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)});
    }
    JailOptions options{Filters::off, {}, {in.data()}};
    const auto error_of = [&options](const std::function<int()>& call) {
        return end_of([&] {
                   Jail{options}.enter(Role::service);
                   ::_exit(call() < 0 ? errno : 0);
               })
            .code;
    };
    const auto open = [](const std::string& path, int flags) {
        return [&path, flags] { return ::open(path.c_str(), flags, 0600); };
    };
    const std::string made = inside + ".new";
    CHECK(error_of(open(inside, O_RDWR | O_TRUNC)) == 0);
    CHECK(error_of(open(made, O_CREAT | O_EXCL | O_WRONLY)) == 0);
    CHECK(error_of([&] { return ::rename(made.c_str(), inside.c_str()); }) == 0);
    CHECK(error_of(open(outside, O_RDONLY)) == EACCES);
    CHECK(error_of(open(outside, O_WRONLY)) == EACCES);
    CHECK(error_of(open(outside + ".new", O_CREAT | O_WRONLY)) == EACCES);
    CHECK(error_of([&] { return ::unlink(outside.c_str()); }) == EACCES);
    CHECK(error_of([&] { return ::rename(inside.c_str(), outside.c_str()); }) == EACCES);
    CHECK(error_of([&] { return ::mkdir(made.c_str(), 0700); }) == EACCES);
    CHECK(error_of(open("/proc/self/mem", O_RDWR)) == EACCES);
    CHECK(error_of(open("/proc/self/pagemap", O_RDONLY)) == 0);
    CHECK(error_of(open("/etc/passwd", O_RDONLY)) == EACCES);
    CHECK(error_of([] {
              Jail{{Filters::off, {}, {"/no/such/path"}}}.enter(Role::service);
              return 0;
          }) == failed_to_enter);
    SUBCASE("and with \",ro\" they are read, and no more") {
        options.allowed_paths = {in.data() + std::string{",ro"}, outside + ",ro"};
        CHECK(error_of(open(inside, O_RDONLY)) == 0);
        CHECK(error_of(open(outside, O_RDONLY)) == 0);
        CHECK(error_of(open(outside, O_RDWR)) == EACCES);
        CHECK(error_of(open(inside, O_WRONLY)) == EACCES);
        CHECK(error_of(open(made, O_CREAT | O_EXCL | O_WRONLY)) == EACCES);
        CHECK(error_of([&] { return ::unlink(inside.c_str()); }) == EACCES);
    }
    SUBCASE("and a folder in one that is only read may be another one's to write in") {
        const std::string deep = in.data() + std::string{"/deep"};
        REQUIRE(std::filesystem::create_directory(deep));
        options.allowed_paths = {in.data() + std::string{",ro"}, deep};
        CHECK(error_of(open(deep + "/new", O_CREAT | O_EXCL | O_WRONLY)) == 0);
        CHECK(error_of([&] { return ::rename((deep + "/new").c_str(), inside.c_str()); }) != 0);
        CHECK(error_of(open(inside, O_WRONLY)) == EACCES);
    }
    std::filesystem::remove_all(in.data());
    std::filesystem::remove_all(out.data());
}

}  // namespace shoal::jail
