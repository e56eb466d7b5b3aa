// The first ending is kept.
#include "vmm/machine/ending.h"

#include <csignal>
#include <utility>

namespace shoal::vmm {

Ending ending_by_signal(int number) {
    if (number == SIGINT) {
        return {static_cast<int>(ExitCode::interrupted), "ended by SIGINT"};
    }
    return {static_cast<int>(ExitCode::terminated),
            number == SIGTERM ? "ended by SIGTERM" : "ended by SIGHUP"};
}

void EndingSlot::set(Ending ending) noexcept {
    const std::scoped_lock lock{mutex_};
    if (!ending_) {
        ending_ = std::move(ending);
        is_set_.store(true, std::memory_order_relaxed);
        event_.signal();
    }
}

std::optional<Ending> EndingSlot::get() const noexcept {
    const std::scoped_lock lock{mutex_};
    return ending_;
}

}  // namespace shoal::vmm
