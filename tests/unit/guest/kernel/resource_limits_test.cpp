// What setrlimit(2) allows.
#include "guest/kernel/resource_limits.h"

#include <doctest/doctest.h>

namespace shoal::guest {
namespace {

TEST_CASE("limits are told, and kept when they are changed") {
    ResourceLimits limits;
    CHECK(limits.get(RLIMIT_STACK).value().rlim_cur == 8U << 20);
    CHECK(limits.get(RLIMIT_NOFILE).value().rlim_cur == 1024);
    CHECK(limits.get(RLIMIT_AS).value().rlim_max == RLIM64_INFINITY);
    CHECK(limits.set(RLIMIT_NOFILE, {4096, 65536}).has_value());
    CHECK(limits.get(RLIMIT_NOFILE).value().rlim_cur == 4096);
}

TEST_CASE("limits that cannot be are refused") {
    ResourceLimits limits;
    CHECK(limits.get(RLIM_NLIMITS).error() == Errno::inval);
    CHECK(limits.get(~0ULL).error() == Errno::inval);
    CHECK(limits.set(~0ULL, {1, 1}).error() == Errno::inval);
    CHECK(limits.set(RLIMIT_AS, {2, 1}).error() == Errno::inval);
    CHECK(limits.set(RLIMIT_NOFILE, {1024, 65537}).error() == Errno::perm);
}

}  // namespace
}  // namespace shoal::guest
