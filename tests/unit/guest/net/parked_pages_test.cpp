// Pages that packets with the device may name stay, and no longer than that.
#include "guest/net/parked_pages.h"

#include <doctest/doctest.h>

#include <cstddef>

#include "guest/kernel/pages.h"
#include "tests/unit/guest/kernel/fs/fake_kernel.h"

namespace shoal::guest::net {
namespace {

struct Fixture {
    void park_one() { pages.park(allocate_page()); }
    [[nodiscard]] std::size_t parked() const { return fake::pages_in_use - in_use_before; }

    ParkedPages pages;
    std::size_t in_use_before = fake::pages_in_use;
};

TEST_CASE("a page is freed at once when no packet is with the device") {
    Fixture f;
    f.park_one();
    CHECK(f.parked() == 0);
}

TEST_CASE("a page stays until all packets that were with the device have come back") {
    Fixture f;
    const auto first = f.pages.packet_leaves();
    const auto second = f.pages.packet_leaves();
    f.park_one();
    f.park_one();
    CHECK(f.parked() == 2);
    f.pages.packet_returns(second);
    CHECK(f.parked() == 2);
    f.pages.packet_returns(first);
    CHECK(f.parked() == 0);
}

TEST_CASE("a page does not wait for packets that leave after it was parked") {
    Fixture f;
    const auto before = f.pages.packet_leaves();
    f.park_one();
    const auto after = f.pages.packet_leaves();
    f.pages.packet_returns(before);
    CHECK(f.parked() == 0);
    f.pages.packet_returns(after);
}

TEST_CASE("a page waits for an old packet however many newer ones come back") {
    Fixture f;
    const auto old = f.pages.packet_leaves();
    f.park_one();
    for (int i = 0; i < 5; ++i) {
        f.pages.packet_returns(f.pages.packet_leaves());
        f.park_one();
    }
    CHECK(f.parked() == 6);
    f.pages.packet_returns(old);
    CHECK(f.parked() == 0);
}

TEST_CASE("pages are freed though there is always a packet with the device") {
    Fixture f;
    auto under_way = f.pages.packet_leaves();
    for (int i = 0; i < 100; ++i) {
        f.park_one();
        const auto next = f.pages.packet_leaves();
        f.pages.packet_returns(under_way);
        under_way = next;
        CHECK(f.parked() <= 2);
    }
    f.pages.packet_returns(under_way);
    CHECK(f.parked() == 0);
}

}  // namespace
}  // namespace shoal::guest::net
