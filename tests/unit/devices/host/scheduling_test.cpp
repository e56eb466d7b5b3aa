// The slices of the event loop's thread.
#include "devices/host/scheduling.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <thread>

namespace shoal::host {
namespace {

constexpr std::uint64_t short_slice_ns = 100'000;

// Of the calling thread; a kernel that knows no slices says 0.
std::uint64_t slice_ns() {
    std::array<std::byte, 48> attributes{};
    REQUIRE(::syscall(SYS_sched_getattr, 0, attributes.data(), attributes.size(), 0) == 0);
    std::uint64_t slice = 0;
    std::memcpy(&slice, attributes.data() + 24, sizeof slice);
    return slice;
}

TEST_CASE("a thread that prefers short slices gets them, and threads that it makes do not") {
    // Not the test's own thread, which has others to run.
    std::thread{[] {
        const std::uint64_t before_ns = slice_ns();
        const int policy = ::sched_getscheduler(0);
        prefer_short_slices();
        CHECK((::sched_getscheduler(0) & ~SCHED_RESET_ON_FORK) == policy);
        if (before_ns == 0 || policy != SCHED_OTHER) {
            MESSAGE("skipped: this kernel or policy has no slices of choice");
            return;
        }
        CHECK(slice_ns() == short_slice_ns);
        std::uint64_t child_ns = 0;
        std::thread{[&child_ns] { child_ns = slice_ns(); }}.join();
        CHECK(child_ns > short_slice_ns);
    }}.join();
}

}  // namespace
}  // namespace shoal::host
