// The calling thread's signals, as far as calls on files need them.
#pragma once

#include <cstdint>
#include <optional>

#include "guest/kernel/sched/wait_queue.h"
#include "guest/kernel/signals.h"

namespace shoal::guest {

// Replaces the mask of blocked signals for the rest of this system call. When the call returns and
// a handler runs, it runs with this mask, and returns to the one of before (the sigmask argument of
// ppoll, pselect6 and epoll_pwait).
void set_mask_during_call(std::uint64_t mask);
// Puts the mask of before back at once. Of a call that returns anything but Errno::intr.
void restore_mask();

// The system call that the thread is in is not made again after a handler, even with SA_RESTART: it
// waits for so long and no longer, as signal(7) says of calls with a timeout.
void call_is_not_restarted();

// Signals that were sent and not yet taken, to the thread or to the process.
[[nodiscard]] std::uint64_t pending_signals();
// Takes a pending signal of `set`, the lowest first.
[[nodiscard]] std::optional<SignalInfo> take_signal(std::uint64_t set);
// Woken by every signal that is sent, blocked or not.
[[nodiscard]] WaitQueue& signal_queue();

}  // namespace shoal::guest
