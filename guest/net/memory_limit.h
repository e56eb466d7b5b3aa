// How much memory the network may take: peers decide how much is queued, so there is an end.
#pragma once

#include "guest/kernel/physical_memory.h"

namespace shoal::guest::net {

// The last part of memory is the program's.
inline constexpr std::uint64_t kept_back_share = 8;

[[nodiscard]] inline bool may_take_memory() {
    return physical_memory.free_bytes() >= physical_memory.total_bytes() / kept_back_share;
}

}  // namespace shoal::guest::net
