// Durations as programs give them.
#pragma once

#include <cstdint>

#include "guest/kernel/errno.h"
#include "guest/kernel/user_memory.h"

namespace shoal::guest {

// Nanoseconds of a struct timespec, at most 136 years. Errno::fault, Errno::inval.
[[nodiscard]] Result<std::uint64_t> read_duration(UserAddress from);

}  // namespace shoal::guest
