// Ending: how a microVM came to its end. Each way has an exit code of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "devices/host/event_fd.h"

namespace shoal::vmm {

// Exit codes of shoal-vmm that are not the guest's. 0 to 255 also come from the exit device.
enum class ExitCode : int {
    failure = 1,        // the host or the operator: one sentence says what
    timeout = 124,      // as timeout(1)
    interrupted = 130,  // SIGINT
    terminated = 143,   // SIGTERM
    // From here on as Firecracker; the first three and the last two by signals.
    bad_system_call = 148,
    bus_error = 149,
    segmentation_fault = 150,
    bad_configuration = 152,
    bad_arguments = 153,
    cpu_time_limit = 154,
    illegal_instruction = 157,
    // And ours.
    reset = 160,
    triple_fault = 161,
    kvm_internal_error = 162,
    kvm_failure = 163,  // KVM_RUN failed, or an exit that it should not make
    handed_over = 164,  // the guest runs in another process now
    discarded = 165,    // the guest that this process waited for never ran here and never will
};

struct Ending {
    int code = 0;
    std::string sentence;  // for stderr; empty when there is nothing to say
};

// SIGINT, SIGTERM or SIGHUP.
[[nodiscard]] Ending ending_by_signal(int number);
// By a signal or the time limit.
[[nodiscard]] bool is_from_outside(const Ending& ending) noexcept;

// The first ending counts. Thread-safe.
class EndingSlot {
public:
    void set(Ending ending) noexcept;
    [[nodiscard]] std::optional<Ending> get() const noexcept;
    [[nodiscard]] bool is_set() const noexcept { return is_set_.load(std::memory_order_relaxed); }
    // Signalled when there is one.
    [[nodiscard]] const host::EventFd& event() const noexcept { return event_; }

private:
    mutable std::mutex mutex_;
    std::optional<Ending> ending_;
    std::atomic<bool> is_set_ = false;
    host::EventFd event_;
};

}  // namespace shoal::vmm
