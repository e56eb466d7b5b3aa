// Signals: what the program asked to be done about each, and doing it.
//
// A signal reaches the program when a system call returns or at the fault that caused it. There is
// nobody else to send one: kill, tkill and tgkill of itself, faults, and SIGPIPE.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "guest/kernel/errno.h"
#include "guest/kernel/registers.h"
#include "guest/kernel/sched/wait_queue.h"

namespace shoal::guest {

inline constexpr unsigned signal_count = 64;

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

// What siginfo_t says.
struct SignalInfo {
    unsigned number = 0;
    int code = 0;
    std::uint64_t address = 0;  // for faults; the sender's pid otherwise
};

class Signals {
public:
    [[nodiscard]] SignalAction& action(unsigned number) { return actions_[number - 1]; }
    [[nodiscard]] SignalStack& stack() { return stack_; }
    [[nodiscard]] std::uint64_t blocked() const { return blocked_; }
    void set_blocked(std::uint64_t mask);
    [[nodiscard]] std::uint64_t pending() const { return pending_; }

    // thread_signals.h.
    void set_mask_during_call(std::uint64_t mask);
    void restore_mask();
    [[nodiscard]] std::optional<SignalInfo> take(std::uint64_t set);
    [[nodiscard]] WaitQueue& sent() { return sent_; }

    // A signal that somebody sent. Delivered at the next deliver_pending().
    void send(unsigned number);

    // A fault that cannot wait. Ends the program when it has no handler or blocks it.
    void deliver_fault(Registers& registers, const SignalInfo& info);

    // Runs the handlers of pending signals: changes `registers` to enter the first one. True when
    // `registers` now differ from what the system call left.
    bool deliver_pending(Registers& registers);

    // rt_sigreturn: takes back what deliver_... put on the stack. False when it is not there.
    [[nodiscard]] bool return_from_handler(Registers& registers);

private:
    [[nodiscard]] bool enter_handler(Registers& registers, const SignalInfo& info);

    std::array<SignalAction, signal_count> actions_{};
    SignalStack stack_;
    std::uint64_t blocked_ = 0;
    std::uint64_t pending_ = 0;
    std::optional<std::uint64_t> mask_before_call_;
    WaitQueue sent_;
};

}  // namespace shoal::guest
