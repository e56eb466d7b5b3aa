#include "controlplane/node/process/usage.h"

#include <doctest/doctest.h>

namespace shoal::node {

TEST_CASE("CPU time is read behind a process's name, whatever that is") {
    CHECK(cpu_ticks_in("7 (a) S 1 2 3 4 5 6 7 8 9 10 11 12 13") == 11 + 12);
    CHECK(cpu_ticks_in("7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13") == 11 + 12);
    CHECK_FALSE(cpu_ticks_in(""));
    CHECK_FALSE(cpu_ticks_in("7 (a) S 1 2 3"));
    CHECK_FALSE(cpu_ticks_in("7 (a) S 1 2 3 4 5 6 7 8 9 10 x y"));
    CHECK_FALSE(usage_in("/no/such/folder"));
}

}  // namespace shoal::node
