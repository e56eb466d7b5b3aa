// Signals: what the program asked to be done about each, who has to get which, and doing it.
//
// A signal reaches the program when a thread is about to return to it, or at the fault that caused
// it. ThreadSignals is a thread's own part, Signals the process's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "guest/kernel/errno.h"
#include "guest/kernel/registers.h"
#include "guest/kernel/sched/wait_queue.h"
#include "guest/kernel/signal_queue.h"

namespace shoal::guest {

struct Process;
struct Thread;

// As struct kernel_sigaction of x86-64.
struct SignalAction {
    std::uint64_t handler = 0;  // 0: default, 1: ignore
    std::uint64_t flags = 0;
    std::uint64_t restorer = 0;
    std::uint64_t mask = 0;
};

// As stack_t of x86-64.
struct SignalStack {
    std::uint64_t address = 0;
    std::uint32_t flags = 2;  // SS_DISABLE
    std::uint32_t padding = 0;
    std::uint64_t size_bytes = 0;
};

struct ThreadSignals {
    SignalStack stack{};
    SignalQueue queue{};
    std::uint64_t blocked = 0;
    // Blocked, but waited for by rt_sigtimedwait.
    std::uint64_t awaited = 0;
    // To be blocked again when the system call that set another mask returns.
    std::optional<std::uint64_t> mask_before_call{};
};

class Signals {
public:
    [[nodiscard]] SignalAction& action(unsigned number) { return actions_[number - 1]; }
    [[nodiscard]] SignalQueue& queue() { return queue_; }
    // execve: handlers are gone, what was ignored stays so.
    void reset_handlers();

    // Of the calling thread.
    [[nodiscard]] std::uint64_t blocked() const;
    void set_blocked(std::uint64_t mask);
    // Another mask for the time of this system call, whose handler runs with it and returns to the
    // one of before, or whose end puts that back: rt_sigsuspend, ppoll, epoll_pwait.
    void set_mask_during_call(std::uint64_t mask);
    void restore_mask();
    // What has come for it and is not blocked, or is.
    [[nodiscard]] std::uint64_t pending() const;
    // Takes one of them, the lowest of `set` first.
    [[nodiscard]] std::optional<SignalInfo> take(std::uint64_t set);
    // SIGPIPE, for what it did.
    void send(unsigned number);
    // Woken by every signal that is sent to the process or a thread of it, blocked or not.
    [[nodiscard]] WaitQueue& sent() { return sent_; }
    // What a child has from its parent.
    void inherit(const Signals& parent) { actions_ = parent.actions_; }

private:
    std::array<SignalAction, signal_count> actions_{};
    SignalQueue queue_{};
    WaitQueue sent_{};
};

// Sends to a thread or to whichever of a process's threads takes it, and wakes that. Errno::again
// when too many wait.
Result<void> send_signal(Thread& thread, const SignalInfo& info);
Result<void> send_signal(Process& process, const SignalInfo& info);
// Signals that the thread has to act on before it goes on.
[[nodiscard]] bool has_signals(const Thread& thread);

// A fault of the running thread. Ends the process when it has no handler or blocks it.
void deliver_fault(const SignalInfo& info);
// Runs the handlers of the calling thread's signals: changes its registers to enter them. Restarts
// the system call that a signal interrupted where Linux does.
void deliver_signals();
// rt_sigreturn: takes back what delivery put on the stack. False when it is not there.
[[nodiscard]] bool return_from_handler(Registers& registers);

}  // namespace shoal::guest
