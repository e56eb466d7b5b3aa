#include "vmm/migration/pace.h"

#include <doctest/doctest.h>

namespace shoal::migration {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t mib = 1 << 20;
constexpr Clock::time_point start{};

TEST_CASE("the rate is that of the last 64 MiB, and says how long the rest takes") {
    Pace pace{0, start};
    CHECK(pace.bytes_per_s() == 0);
    pace.add(64 * mib, 1s);
    CHECK(pace.bytes_per_s() == 64 * mib);
    CHECK(pace.expected_downtime(0) == 3ms);
    CHECK(pace.expected_downtime(32 * mib) == 503ms);
    for (int count = 0; count < 20; ++count) {
        pace.add(64 * mib, 500ms);
    }
    CHECK(pace.bytes_per_s() > 127 * mib);
    CHECK(pace.bytes_per_s() <= 128 * mib);
}

TEST_CASE("nothing measured yet: anything takes for ever, and the largest number does not wrap") {
    const Pace pace{0, start};
    CHECK(pace.expected_downtime(1) == 1'003ms);
    CHECK(pace.expected_downtime(1ULL << 42) > 1h);
}

TEST_CASE("a limit lets so many bytes go in a second, in waits that are worth it") {
    Pace pace{10 * mib, start};
    Clock::time_point now = start;
    Clock::duration shortest = 1h;
    for (int count = 0; count < 80; ++count) {
        const auto wait = pace.spend(mib / 4, now);
        now += wait;
        shortest = std::min(shortest, wait);
    }
    CHECK(now - start > 1'950ms);
    CHECK(now - start < 2'050ms);
    CHECK(shortest >= 5ms);
    // What was not used while nothing was sent is lost.
    CHECK(pace.spend(mib, now + 1h) > 90ms);
}

TEST_CASE("no limit, no wait") {
    Pace pace{0, start};
    CHECK(pace.spend(~0ULL, start) == 0s);
}

}  // namespace
}  // namespace shoal::migration
