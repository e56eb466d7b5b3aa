#include "guest/kernel/signal_queue.h"

#include <doctest/doctest.h>

namespace shoal::guest {
namespace {

TEST_CASE("a usual signal is there once, with what came first") {
    SignalQueue queue;
    CHECK(queue.add({10, 1, 0, 0}));
    CHECK(queue.add({10, 2, 0, 0}));
    CHECK(queue.mask() == signal_bit(10));
    const auto taken = queue.take(~0ULL);
    REQUIRE(taken);
    CHECK(taken->code == 1);
    CHECK_FALSE(queue.take(~0ULL));
}

TEST_CASE("real-time signals are there as often as they were sent, in order") {
    SignalQueue queue;
    for (std::uint64_t value = 0; value < 3; ++value) {
        CHECK(queue.add({40, -1, 0, value}));
    }
    for (std::uint64_t value = 0; value < 3; ++value) {
        CHECK(queue.mask() == signal_bit(40));
        const auto taken = queue.take(signal_bit(40));
        REQUIRE(taken);
        CHECK(taken->value == value);
    }
    CHECK(queue.mask() == 0);
}

TEST_CASE("the lowest number of those that are wanted is taken first") {
    SignalQueue queue;
    for (const unsigned number : {64U, 12U, 3U}) {
        CHECK(queue.add({number, 0, 0, 0}));
    }
    CHECK_FALSE(queue.take(signal_bit(4)));
    CHECK(queue.take(~signal_bit(3))->number == 12);
    CHECK(queue.take(~0ULL)->number == 3);
    CHECK(queue.take(~0ULL)->number == 64);
}

TEST_CASE("a full queue refuses real-time signals only") {
    SignalQueue queue;
    for (std::size_t i = 0; i < SignalQueue::limit; ++i) {
        REQUIRE(queue.add({50, 0, 0, i}));
    }
    CHECK_FALSE(queue.add({50, 0, 0, 0}));
    CHECK(queue.add({15, 0, 0, 0}));
    queue.clear();
    CHECK(queue.mask() == 0);
    CHECK(queue.add({50, 0, 0, 0}));
}

}  // namespace
}  // namespace shoal::guest
