// The frame of a signal handler on the program's stack.
#pragma once

#include "guest/kernel/signals.h"

namespace shoal::guest {

// Puts the thread's registers on the program's stack and makes them those of the handler's start.
// False when there is no stack.
[[nodiscard]] bool enter_handler(Thread& thread, const SignalInfo& info);

}  // namespace shoal::guest
