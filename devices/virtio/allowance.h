// Allowance: what a device may do with one queue in one turn of the event loop. What is left over
// waits for Transport::process_again(), so that the API and the other devices have their turn.
#pragma once

#include <algorithm>
#include <cstdint>

namespace shoal::virtio {

struct Allowance {
    std::uint32_t chains;
    // Less than half a millisecond of copying.
    std::uint64_t bytes = 256 << 10;

    // Whether there may be one more chain, which it counts.
    [[nodiscard]] bool take_chain() noexcept {
        if (chains == 0 || bytes == 0) {
            return false;
        }
        --chains;
        return true;
    }
    // The last chain may have been larger than what was left.
    void spend(std::uint64_t moved_bytes) noexcept { bytes -= std::min(bytes, moved_bytes); }
};

}  // namespace shoal::virtio
