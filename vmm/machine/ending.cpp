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

bool is_from_outside(const Ending& ending) noexcept {
    const auto is = [&](ExitCode code) { return ending.code == static_cast<int>(code); };
    // The guest's own codes come without a sentence.
    return !ending.sentence.empty() &&
           (is(ExitCode::timeout) || is(ExitCode::interrupted) || is(ExitCode::terminated));
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
