// seccomp(2), and the last words of who breaks its rules.
#include "vmm/jail/jail.h"

#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <string_view>

#include "devices/host/last_words.h"
#include "devices/host/log.h"
#include "devices/host/os_error.h"
#include "vmm/jail/landlock.h"

namespace shoal::jail {
namespace {

// SYS_SECCOMP of <asm-generic/siginfo.h>, which the C library's headers do not have.
constexpr int sent_by_filter = 1;

// Who gets the signal when no filter has sent it.
struct sigaction before {};

void on_violation(int signal, siginfo_t* info, void* context) {
    if (info->si_code != sent_by_filter && (before.sa_flags & SA_SIGINFO) != 0) {
        return before.sa_sigaction(signal, info, context);
    }
    constexpr std::size_t max_name_bytes = 16;
    std::array<char, max_name_bytes> name{};
    host::LastWords sentence;
    sentence.add("shoal-vmm: system call ");
    sentence.add_number(static_cast<std::uint64_t>(info->si_syscall));
    sentence.add(" is not allowed by the filter of this thread");
    if (::prctl(PR_GET_NAME, name.data()) == 0) {
        sentence.add(", ");
        sentence.add(name.data());
    }
    sentence.add("; see --no-seccomp\n");
    sentence.say();
    ::_exit(bad_call_exit_code);
}

void install_violation_handler() {
    struct sigaction action {};
    action.sa_sigaction = on_violation;
    action.sa_flags = SA_SIGINFO;
    ::sigfillset(&action.sa_mask);
    struct sigaction old {};
    host::check_os(::sigaction(SIGSYS, &action, &old), "sigaction(SIGSYS)");
    if (old.sa_sigaction != on_violation) {
        before = old;
    }
}

void install(std::span<const sock_filter> filter) {
    // SAFETY: the kernel only reads it.
    const sock_fprog program{static_cast<unsigned short>(filter.size()),
                             const_cast<sock_filter*>(filter.data())};
    // No code of a guest runs in this process: it needs no protection from speculation by itself,
    // which older kernels would add, and which costs at every exit.
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) <
        0) {
        host::throw_os_error("cannot filter system calls (--no-seccomp starts without)");
    }
}

}  // namespace

Jail::Jail(const JailOptions& options)
    : has_filters_{options.filters == Filters::on}, allowed_paths_{options.allowed_paths} {
    if (!options.filter_path.empty()) {
        file_.emplace(options.filter_path);
    }
    if (has_filters_) {
        install_violation_handler();
    }
}

void Jail::enter(Role role) const {
    const bool has_paths = role == Role::service && !allowed_paths_.empty();
    if (has_filters_ || has_paths) {
        // What is forbidden here would mislead a program that gains privileges: none may gain any.
        host::check_os(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    }
    if (has_paths && has_landlock()) {
        allow_only(allowed_paths_);
    } else if (has_paths) {
        host::log(host::LogLevel::warn,
                  "this kernel has no Landlock: --allow does not keep any file from being opened");
    }
    const auto filter = file_ ? file_->filter_of(role) : filter_of(role);
    if (has_filters_ && !filter.empty()) {
        install(filter);
    }
}

}  // namespace shoal::jail
