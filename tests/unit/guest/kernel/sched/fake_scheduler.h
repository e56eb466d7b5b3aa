// What a thread does while it waits, on the host: what the test says.
#pragma once

#include <functional>

namespace shoal::guest::test {

// Called by every wait that finds its waiter not woken; should wake it. Without one a wait times
// out.
inline std::function<void()> while_blocked;

}  // namespace shoal::guest::test
