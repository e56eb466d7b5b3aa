#include "devices/backend/inline_gate.h"

#include <doctest/doctest.h>

using shoal::backend::InlineGate;

namespace {

constexpr std::uint64_t start = 1'000'000'000'000;

// Reports a slow call and returns when it ended.
std::uint64_t report_slow(InlineGate& gate, std::uint64_t begin_ns) {
    gate.report(begin_ns, begin_ns + InlineGate::slow_ns);
    return begin_ns + InlineGate::slow_ns;
}

}  // namespace

TEST_CASE("the gate stays open while calls are quick") {
    InlineGate gate;
    gate.report(start, start + InlineGate::slow_ns - 1);
    CHECK(gate.is_open(start + InlineGate::slow_ns));
}

TEST_CASE("a slow call shuts the gate for a while") {
    InlineGate gate;
    const std::uint64_t shut_at = report_slow(gate, start);
    CHECK_FALSE(gate.is_open(shut_at));
    CHECK_FALSE(gate.is_open(shut_at + InlineGate::min_shut_ns - 1));
    CHECK(gate.is_open(shut_at + InlineGate::min_shut_ns));
}

TEST_CASE("slow calls again and again shut the gate for longer, up to a limit") {
    InlineGate gate;
    std::uint64_t now = start;
    std::uint64_t expected = InlineGate::min_shut_ns;
    for (int count = 0; count < 20; ++count) {
        now = report_slow(gate, now);
        CHECK_FALSE(gate.is_open(now + expected - 1));
        CHECK(gate.is_open(now + expected));
        now += expected;
        expected = std::min(2 * expected, InlineGate::max_shut_ns);
    }
}

TEST_CASE("after a good while without a slow call the gate starts anew") {
    InlineGate gate;
    std::uint64_t now = report_slow(gate, start) + InlineGate::min_shut_ns;
    now = report_slow(gate, now) + 2 * InlineGate::min_shut_ns;
    now = report_slow(gate, now + InlineGate::recovered_ns);
    CHECK(gate.is_open(now + InlineGate::min_shut_ns));
}
