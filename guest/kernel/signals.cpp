// Who gets a signal, and when.
#include "guest/kernel/signals.h"

#include <asm/unistd.h>
#include <signal.h>

#include <algorithm>

#include "guest/kernel/process.h"
#include "guest/kernel/sched/scheduler.h"
#include "guest/kernel/signal_frame.h"

namespace shoal::guest {
namespace {

constexpr std::uint64_t unblockable = signal_bit(SIGKILL) | signal_bit(SIGSTOP);
constexpr std::uint64_t handler_default = 0;
constexpr std::uint64_t handler_ignore = 1;
constexpr std::size_t syscall_instruction_bytes = 2;

// Calls that EINTR always ends, whatever SA_RESTART says (signal(7)).
constexpr std::uint64_t never_restarted[] = {
    __NR_poll,       __NR_ppoll,         __NR_select,          __NR_pselect6,
    __NR_epoll_wait, __NR_epoll_pwait,   __NR_epoll_pwait2,    __NR_nanosleep,
    __NR_pause,      __NR_rt_sigsuspend, __NR_rt_sigtimedwait, __NR_clock_nanosleep,
};

// Those that stop a program are for terminals with job control, which there are not.
bool is_ignored_by_default(unsigned number) {
    switch (number) {
        case SIGCHLD:
        case SIGURG:
        case SIGWINCH:
        case SIGCONT:
        case SIGSTOP:
        case SIGTSTP:
        case SIGTTIN:
        case SIGTTOU:
            return true;
    }
    return false;
}

bool is_ignored(Process& process, unsigned number) {
    const std::uint64_t handler = process.signals.action(number).handler;
    return handler == handler_ignore ||
           (handler == handler_default && is_ignored_by_default(number));
}

bool may_take(const Thread& thread, unsigned number) {
    return thread.end == Thread::End::no &&
           ((thread.signals.blocked & ~thread.signals.awaited) & signal_bit(number)) == 0;
}

void wake_for_signal(Thread& thread) {
    interrupt(thread);
    request_look();  // in case that it is the one that runs
}

bool is_restarted(const Thread& thread) {
    return std::ranges::find(never_restarted, thread.call) == std::end(never_restarted);
}

// Lets the program make the system call again that ended with EINTR.
void restart_call(const Thread& thread, Registers& registers) {
    registers.rax = thread.call;
    registers.rip =
        thread.process->memory->patcher.program_address(registers.rip) - syscall_instruction_bytes;
}

}  // namespace

void Signals::reset_handlers() {
    for (SignalAction& action : actions_) {
        action = {action.handler == handler_ignore ? handler_ignore : handler_default, 0, 0, 0};
    }
}

std::uint64_t Signals::blocked() const {
    return current_thread().signals.blocked;
}

void Signals::set_blocked(std::uint64_t mask) {
    Thread& thread = current_thread();
    thread.signals.blocked = mask & ~unblockable;
    if (has_signals(thread)) {
        request_look();
    }
}

void Signals::set_mask_during_call(std::uint64_t mask) {
    Thread& thread = current_thread();
    thread.signals.mask_before_call = thread.signals.blocked;
    set_blocked(mask);
    request_look();
}

void Signals::restore_mask() {
    ThreadSignals& signals = current_thread().signals;
    if (signals.mask_before_call) {
        signals.blocked = *signals.mask_before_call;
        signals.mask_before_call.reset();
    }
}

std::optional<SignalInfo> Signals::take(std::uint64_t set) {
    const auto info = current_thread().signals.queue.take(set);
    return info ? info : queue_.take(set);
}

std::uint64_t Signals::pending() const {
    return current_thread().signals.queue.mask() | queue_.mask();
}

void Signals::send(unsigned number) {
    static_cast<void>(send_signal(current_thread(), {number, SI_USER, first_process_id, 0}));
}

Result<void> send_signal(Thread& thread, const SignalInfo& info) {
    const bool blocked = (thread.signals.blocked & signal_bit(info.number)) != 0;
    if (!blocked && is_ignored(*thread.process, info.number)) {
        return {};
    }
    if (!thread.signals.queue.add(info)) {
        return fail(Errno::again);
    }
    thread.process->signals.sent().wake_all();
    if (may_take(thread, info.number)) {
        wake_for_signal(thread);
    }
    return {};
}

Result<void> send_signal(Process& process, const SignalInfo& info) {
    Thread* taker = process.threads.first();
    while (taker != nullptr && !may_take(*taker, info.number)) {
        taker = process.threads.behind(*taker);
    }
    const bool blocked =
        taker == nullptr || (taker->signals.blocked & signal_bit(info.number)) != 0;
    if (!blocked && is_ignored(process, info.number)) {
        return {};
    }
    if (!process.signals.queue().add(info)) {
        return fail(Errno::again);
    }
    process.signals.sent().wake_all();
    if (taker != nullptr) {
        wake_for_signal(*taker);
    }
    return {};
}

bool has_signals(const Thread& thread) {
    const std::uint64_t pending =
        thread.signals.queue.mask() | thread.process->signals.queue().mask();
    return thread.end == Thread::End::wanted || (pending & ~thread.signals.blocked) != 0;
}

void deliver_fault(const SignalInfo& info) {
    Thread& thread = current_thread();
    thread.call = Thread::no_call;
    const SignalAction& action = thread.process->signals.action(info.number);
    const bool caught =
        action.handler > handler_ignore && (thread.signals.blocked & signal_bit(info.number)) == 0;
    if (!caught || !enter_handler(thread, info)) {
        die_of_fault(info, thread.registers());
    }
}

void deliver_signals() {
    Thread& thread = current_thread();
    Registers& registers = thread.registers();
    const bool interrupted = thread.call != Thread::no_call &&
                             registers.rax == static_cast<std::uint64_t>(negative(Errno::intr));
    bool entered = false;
    while (const auto info = thread.process->signals.take(~thread.signals.blocked)) {
        const SignalAction action = thread.process->signals.action(info->number);
        if (is_ignored(*thread.process, info->number)) {
            continue;
        }
        if (action.handler != handler_default && interrupted && !entered &&
            (action.flags & SA_RESTART) != 0 && is_restarted(thread)) {
            restart_call(thread, registers);
        }
        if (action.handler == handler_default || !enter_handler(thread, *info)) {
            die_of_signal(action.handler == handler_default ? info->number : SIGSEGV);
        }
        entered = true;
    }
    thread.process->signals.restore_mask();
    if (interrupted && !entered && is_restarted(thread)) {
        restart_call(thread, registers);
    }
    thread.call = Thread::no_call;
    if (has_signals(thread)) {
        request_look();  // the old mask lets others through
    }
}

}  // namespace shoal::guest
