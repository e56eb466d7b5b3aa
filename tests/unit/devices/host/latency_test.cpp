// Latencies: extremes and sums.
#include "devices/host/latency.h"

#include <doctest/doctest.h>

#include <thread>

namespace shoal::host {
namespace {

TEST_CASE("a latency has the extremes and the sum of what was recorded") {
    Latency latency;
    CHECK(latency == Latency{});
    latency.record(5'000);
    latency.record(2'999);
    latency.record(7'500);
    CHECK(latency.min_us() == 2);
    CHECK(latency.max_us() == 7);
    CHECK(latency.sum_us() == 15);
    SUBCASE("times below a microsecond add up") {
        for (int i = 0; i < 1'000; ++i) {
            latency.record(600);
        }
        CHECK(latency.min_us() == 0);
        CHECK(latency.sum_us() == 615);
    }
    SUBCASE("no time at all is the shortest there is") {
        latency.record(0);
        latency.record(10'000);
        CHECK(latency.min_ns == 1);
    }
}

TEST_CASE("latencies are merged, and one in which nothing was recorded changes nothing") {
    Latency first;
    first.record(10);
    Latency second;
    second.record(30);
    second.record(20);
    SUBCASE("in either order") {
        Latency other = second;
        other.merge(first);
        first.merge(second);
        CHECK(first == other);
        CHECK(first == Latency{10, 30, 60});
    }
    SUBCASE("with none") {
        const Latency before = first;
        first.merge({});
        CHECK(first == before);
        Latency none;
        none.merge(before);
        CHECK(none == before);
    }
}

// Meant to run under ThreadSanitizer as well.
TEST_CASE("a shared latency is read while another thread records") {
    SharedLatency shared;
    constexpr std::uint64_t count = 10'000;
    {
        std::jthread writer{[&shared] {
            for (std::uint64_t i = 1; i <= count; ++i) {
                shared.record(i);
            }
        }};
        while (shared.count() < count) {
            CHECK(shared.latency().max_ns <= count);
        }
    }
    CHECK(shared.latency() == Latency{1, count, count * (count + 1) / 2});
}

}  // namespace
}  // namespace shoal::host
