// System calls about signals.
#include <signal.h>

#include <cstring>

#include "guest/kernel/clock.h"
#include "guest/kernel/process_table.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/kernel/syscalls/calls.h"
#include "guest/kernel/syscalls/duration.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest {
namespace {

constexpr std::uint64_t smallest_signal_stack = 2048;

SignalInfo sent_by(const Process& sender, std::uint64_t number, int code) {
    return {static_cast<unsigned>(number), code, static_cast<std::uint64_t>(sender.id), 0};
}

std::int64_t result_of(const Result<void>& result) {
    return result ? 0 : negative(result.error());
}

// kill(2): a number above 0 is a process, 0 the sender's group, -1 all but the sender and the
// first, others a group.
bool is_meant(const Process& sender, const Process& other, int target) {
    if (other.state == Process::State::ended && target <= 0) {
        return false;
    }
    if (target > 0) {
        return other.id == target;
    }
    if (target == -1) {
        return process_count() == 1 || (&other != &sender && other.id != first_process_id);
    }
    return other.group == (target == 0 ? sender.group : -target);
}

std::int64_t send_to_processes(Process& sender, int target, const SignalInfo& info) {
    std::int64_t result = negative(Errno::srch);
    for (Process* at = first_process(); at != nullptr; at = next_process(*at)) {
        if (is_meant(sender, *at, target)) {
            const bool is_check = info.number == 0 || at->state == Process::State::ended;
            result = is_check ? 0 : result_of(send_signal(*at, info));
        }
    }
    return result;
}

std::int64_t send_to_thread(const Process& sender, std::uint64_t group, std::uint64_t id,
                            std::uint64_t number) {
    Thread* thread = find_thread(static_cast<int>(id));
    if (number > signal_count) {
        return negative(Errno::inval);
    }
    if (thread == nullptr || (group != 0 && thread->process->id != static_cast<int>(group))) {
        return negative(Errno::srch);
    }
    return number == 0 ? 0 : result_of(send_signal(*thread, sent_by(sender, number, SI_TKILL)));
}

// A signal of those in `set`, and what waiting for it came to.
Result<SignalInfo> await_signal(Process& process, std::uint64_t set, std::uint64_t deadline_ns) {
    ThreadSignals& signals = current_thread().signals;
    const std::uint64_t blocked = signals.blocked;
    if (const auto info = process.signals.take(set)) {
        return *info;
    }
    signals.awaited = set;
    signals.blocked = blocked & ~set;
    Waiter nobody;
    const Wake wake = block(nobody, deadline_ns);
    signals.blocked = blocked;
    signals.awaited = 0;
    if (const auto info = process.signals.take(set)) {
        return *info;
    }
    return fail(wake == Wake::timed_out ? Errno::again : Errno::intr);
}

siginfo_t info_of(const SignalInfo& info) {
    siginfo_t result{};
    result.si_signo = static_cast<int>(info.number);
    result.si_code = info.code;
    std::memcpy(reinterpret_cast<std::byte*>(&result) + 16, &info.address, sizeof info.address);
    std::memcpy(reinterpret_cast<std::byte*>(&result) + 24, &info.value, sizeof info.value);
    return result;
}

}  // namespace

std::int64_t sys_rt_sigaction(Process& process, const Arguments& args) {
    const auto [number, action, old_action, mask_size, unused1, unused2] = args;
    if (mask_size != sizeof(std::uint64_t) || number == 0 || number > signal_count) {
        return negative(Errno::inval);
    }
    SignalAction& current = process.signals.action(static_cast<unsigned>(number));
    const SignalAction before = current;
    if (action != 0) {
        SignalAction wanted;
        if (!copy_from_user(&wanted, action, sizeof wanted)) {
            return negative(Errno::fault);
        }
        if (number == SIGKILL || number == SIGSTOP) {
            return negative(Errno::inval);
        }
        current = wanted;
    }
    if (old_action != 0 && !copy_to_user(old_action, &before, sizeof before)) {
        return negative(Errno::fault);
    }
    return 0;
}

std::int64_t sys_rt_sigprocmask(Process& process, const Arguments& args) {
    const auto [how, set, old_set, mask_size, unused1, unused2] = args;
    if (mask_size != sizeof(std::uint64_t)) {
        return negative(Errno::inval);
    }
    const std::uint64_t before = process.signals.blocked();
    if (set != 0) {
        std::uint64_t mask = 0;
        if (!copy_from_user(&mask, set, sizeof mask)) {
            return negative(Errno::fault);
        }
        switch (how) {
            case SIG_BLOCK:
                process.signals.set_blocked(before | mask);
                break;
            case SIG_UNBLOCK:
                process.signals.set_blocked(before & ~mask);
                break;
            case SIG_SETMASK:
                process.signals.set_blocked(mask);
                break;
            default:
                return negative(Errno::inval);
        }
    }
    if (old_set != 0 && !copy_to_user(old_set, &before, sizeof before)) {
        return negative(Errno::fault);
    }
    return 0;
}

std::int64_t sys_rt_sigpending(Process& process, const Arguments& args) {
    const std::uint64_t pending = process.signals.pending();
    return copy_to_user(args[0], &pending, sizeof pending) ? 0 : negative(Errno::fault);
}

std::int64_t sys_sigaltstack(Process&, const Arguments& args) {
    const auto [stack, old_stack, unused1, unused2, unused3, unused4] = args;
    SignalStack& current = current_thread().signals.stack;
    SignalStack before = current;
    const std::uint64_t rsp = current_thread().registers().rsp;
    const bool in_use =
        (before.flags & SS_DISABLE) == 0 && rsp - before.address < before.size_bytes;
    before.flags |= in_use ? SS_ONSTACK : 0;
    if (stack != 0) {
        SignalStack wanted;
        if (!copy_from_user(&wanted, stack, sizeof wanted)) {
            return negative(Errno::fault);
        }
        if ((wanted.flags & SS_DISABLE) == 0 && wanted.size_bytes < smallest_signal_stack) {
            return negative(Errno::nomem);
        }
        if (in_use) {
            return negative(Errno::perm);
        }
        current = wanted;
    }
    if (old_stack != 0 && !copy_to_user(old_stack, &before, sizeof before)) {
        return negative(Errno::fault);
    }
    return 0;
}

std::int64_t sys_kill(Process& process, const Arguments& args) {
    if (args[1] > signal_count) {
        return negative(Errno::inval);
    }
    return send_to_processes(process, static_cast<int>(args[0]),
                             sent_by(process, args[1], SI_USER));
}

std::int64_t sys_tkill(Process& process, const Arguments& args) {
    return send_to_thread(process, 0, args[0], args[1]);
}

std::int64_t sys_tgkill(Process& process, const Arguments& args) {
    if (static_cast<int>(args[0]) <= 0 || static_cast<int>(args[1]) <= 0) {
        return negative(Errno::inval);
    }
    return send_to_thread(process, args[0], args[1], args[2]);
}

std::int64_t sys_rt_sigqueueinfo(Process& process, const Arguments& args) {
    siginfo_t info{};
    if (!copy_from_user(&info, args[2], sizeof info)) {
        return negative(Errno::fault);
    }
    if (args[1] > signal_count || info.si_code >= 0) {
        return negative(args[1] > signal_count ? Errno::inval : Errno::perm);
    }
    SignalInfo sent{static_cast<unsigned>(args[1]), info.si_code, 0, 0};
    std::memcpy(&sent.address, reinterpret_cast<const std::byte*>(&info) + 16, sizeof sent.address);
    std::memcpy(&sent.value, reinterpret_cast<const std::byte*>(&info) + 24, sizeof sent.value);
    return send_to_processes(process, static_cast<int>(args[0]), sent);
}

std::int64_t sys_rt_sigsuspend(Process& process, const Arguments& args) {
    std::uint64_t mask = 0;
    if (args[1] != sizeof mask || !copy_from_user(&mask, args[0], sizeof mask)) {
        return negative(args[1] != sizeof mask ? Errno::inval : Errno::fault);
    }
    process.signals.set_mask_during_call(mask);
    return sys_pause(process, args);
}

std::int64_t sys_pause(Process&, const Arguments&) {
    Waiter nobody;
    static_cast<void>(block(nobody, no_deadline));
    return negative(Errno::intr);
}

std::int64_t sys_rt_sigtimedwait(Process& process, const Arguments& args) {
    const auto [set_at, info_at, timeout_at, set_size, unused1, unused2] = args;
    std::uint64_t set = 0;
    if (set_size != sizeof set || !copy_from_user(&set, set_at, sizeof set)) {
        return negative(set_size != sizeof set ? Errno::inval : Errno::fault);
    }
    std::uint64_t deadline = no_deadline;
    if (timeout_at != 0) {
        const auto duration = read_duration(timeout_at);
        if (!duration) {
            return negative(duration.error());
        }
        deadline = monotonic_ns() + *duration;
    }
    const auto info =
        await_signal(process, set & ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP)), deadline);
    if (!info) {
        return negative(info.error());
    }
    const siginfo_t result = info_of(*info);
    if (info_at != 0 && !copy_to_user(info_at, &result, sizeof result)) {
        return negative(Errno::fault);
    }
    return info->number;
}

}  // namespace shoal::guest
