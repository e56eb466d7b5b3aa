// Futexes, as the end of a thread needs them.
#pragma once

#include "guest/kernel/sched/thread.h"

namespace shoal::guest {

// The calling thread ends: marks the locks of its robust list, and clears its thread number where
// pthread_join() waits for it.
void release_futexes(Thread& thread);

}  // namespace shoal::guest
