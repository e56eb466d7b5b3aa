// Today's one thread's.
#include "guest/kernel/thread_signals.h"

#include "guest/kernel/process.h"

namespace shoal::guest {

void set_mask_during_call(std::uint64_t mask) {
    process().signals.set_mask_during_call(mask);
}

void restore_mask() {
    process().signals.restore_mask();
}

void call_is_not_restarted() {
    current_thread().call = Thread::no_call;
}

std::uint64_t pending_signals() {
    return process().signals.pending();
}

std::optional<SignalInfo> take_signal(std::uint64_t set) {
    return process().signals.take(set);
}

WaitQueue& signal_queue() {
    return process().signals.sent();
}

}  // namespace shoal::guest
