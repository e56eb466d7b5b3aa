#include "guest/vdso/kvm_clock.h"

#include <doctest/doctest.h>

namespace {

using namespace shoal::guest;

// Half a nanosecond for what the shift makes of a tick.
void check_between(std::int8_t shift, std::uint64_t per_two_ticks) {
    SystemTime time;
    time.version = 2;
    time.tsc_to_system_mul = 0x8000'0000;
    time.tsc_shift = shift;
    time.system_time_ns = 5'000'000'000;
    time.tsc_timestamp = read_tsc() - 1'000'000'000;
    const std::uint64_t before = read_tsc() - time.tsc_timestamp;
    const std::uint64_t now = read_kvm_clock(time);
    const std::uint64_t after = read_tsc() - time.tsc_timestamp;
    CHECK(now >= 5'000'000'000 + before * per_two_ticks / 2);
    CHECK(now <= 5'000'000'000 + after * per_two_ticks / 2);
}

TEST_CASE("the KVM clock scales ticks by shift and factor") {
    check_between(0, 1);
    check_between(1, 2);
    check_between(3, 8);
}

TEST_CASE("the KVM clock shifts to the right, too, and never wraps within a century of ticks") {
    SystemTime time;
    time.tsc_to_system_mul = 0xFFFF'FFFF;
    time.tsc_shift = -1;
    time.tsc_timestamp = read_tsc() - (std::uint64_t{1} << 63);
    const std::uint64_t now = read_kvm_clock(time);
    CHECK(now >= (std::uint64_t{1} << 62) - (std::uint64_t{1} << 31));
    CHECK(now < (std::uint64_t{1} << 62) + (std::uint64_t{1} << 40));
}

}  // namespace
