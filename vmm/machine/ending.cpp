// The first ending is kept.
#include "vmm/machine/ending.h"

#include <utility>

namespace shoal::vmm {

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
