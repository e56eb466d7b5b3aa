// Guest addresses: compared, and added to with a check.
#include "devices/machine/gpa.h"

#include <doctest/doctest.h>

namespace shoal::machine {
namespace {

constexpr std::uint64_t largest = ~0ULL;

TEST_CASE("an address is ordered by its value") {
    CHECK(Gpa{} == Gpa{0});
    CHECK(Gpa{1} < Gpa{2});
    CHECK(Gpa{largest} > Gpa{0});
    CHECK(Gpa{7}.value() == 7);
}

TEST_CASE("an addition that fits gives the sum") {
    CHECK(Gpa{0x1000}.checked_add(0x234) == Gpa{0x1234});
    CHECK(Gpa{largest}.checked_add(0) == Gpa{largest});
    CHECK(Gpa{0}.checked_add(largest) == Gpa{largest});
}

TEST_CASE("an addition that wraps gives nothing") {
    CHECK_FALSE(Gpa{largest}.checked_add(1));
    CHECK_FALSE(Gpa{1}.checked_add(largest));
    CHECK_FALSE(Gpa{largest}.checked_add(largest));
}

}  // namespace
}  // namespace shoal::machine
