// The status table: only the specification's order.
#include "devices/virtio/status.h"

#include <doctest/doctest.h>

#include <array>

namespace shoal::virtio {
namespace {

TEST_CASE("a driver goes up one step at a time, and down only to reset") {
    constexpr std::array all{Status::reset, Status::acknowledge, Status::driver,
                             Status::features_ok, Status::driver_ok};
    for (std::size_t from = 0; from < all.size(); ++from) {
        for (std::size_t to = 0; to < all.size(); ++to) {
            CAPTURE(from);
            CAPTURE(to);
            CHECK(may_follow(all[from], all[to]) == (to == 0 || to == from + 1));
        }
    }
}

TEST_CASE("values that are no state follow nothing") {
    CHECK_FALSE(may_follow(Status::reset, Status{2}));
    CHECK_FALSE(may_follow(Status::driver, Status{7}));
    CHECK_FALSE(may_follow(Status::driver_ok, Status{0xFFFF'FFFF}));
}

}  // namespace
}  // namespace shoal::virtio
