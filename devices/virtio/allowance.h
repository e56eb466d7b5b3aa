// Allowance: what a device may do with one queue in one turn of the event loop. What is left over
// waits for Transport::process_again(), so that the API and the other devices have their turn.
#pragma once

#include <algorithm>
#include <cstdint>

#include "devices/host/clock.h"

namespace shoal::virtio {

struct Allowance {
    std::uint32_t chains;
    // Less than 0.1 ms of copying.
    std::uint64_t bytes = 256 << 10;
    std::uint64_t end_ns = 0;  // set by the first chain

    // On a slow host, or with a slow file, the time is over first.
    static constexpr std::uint64_t max_ns = 300'000;

    // Whether there may be one more chain, which it counts. The first may always.
    [[nodiscard]] bool take_chain() noexcept {
        const std::uint64_t now_ns = host::monotonic_ns();
        if (chains == 0 || bytes == 0 || (end_ns != 0 && now_ns >= end_ns)) {
            return false;
        }
        end_ns = end_ns != 0 ? end_ns : now_ns + max_ns;
        --chains;
        return true;
    }
    // The last chain may have been larger than what was left.
    void spend(std::uint64_t moved_bytes) noexcept { bytes -= std::min(bytes, moved_bytes); }
};

}  // namespace shoal::virtio
