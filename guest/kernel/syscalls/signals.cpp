// System calls about signals.
#include <signal.h>

#include "guest/kernel/syscalls/calls.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest {
namespace {

constexpr std::uint64_t smallest_signal_stack = 2048;

std::int64_t send(Process& process, std::uint64_t pid, std::uint64_t number) {
    const auto target = static_cast<std::int32_t>(pid);
    if (number > signal_count) {
        return negative(Errno::inval);
    }
    if (target != process_id && target != 0 && target != -1 && target != -process_id) {
        return negative(Errno::srch);
    }
    if (number != 0) {
        process.signals.send(static_cast<unsigned>(number));
    }
    return 0;
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

std::int64_t sys_sigaltstack(Process& process, const Arguments& args) {
    const auto [stack, old_stack, unused1, unused2, unused3, unused4] = args;
    const SignalStack before = process.signals.stack();
    if (stack != 0) {
        SignalStack wanted;
        if (!copy_from_user(&wanted, stack, sizeof wanted)) {
            return negative(Errno::fault);
        }
        if ((wanted.flags & SS_DISABLE) == 0 && wanted.size_bytes < smallest_signal_stack) {
            return negative(Errno::nomem);
        }
        process.signals.stack() = wanted;
    }
    if (old_stack != 0 && !copy_to_user(old_stack, &before, sizeof before)) {
        return negative(Errno::fault);
    }
    return 0;
}

std::int64_t sys_kill(Process& process, const Arguments& args) {
    return send(process, args[0], args[1]);
}

std::int64_t sys_tgkill(Process& process, const Arguments& args) {
    return send(process, args[1], args[2]);
}

}  // namespace shoal::guest
