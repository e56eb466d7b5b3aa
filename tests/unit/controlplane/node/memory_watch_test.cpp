#include "controlplane/node/memory_watch.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/unit/controlplane/node/manual_loop.h"

namespace shoal::node::test {

namespace {

using namespace std::chrono_literals;

struct WatchedHost {
    ManualLoop loop;
    MemoryState state{4096, 0.0};
    std::vector<std::string> told{};
    MemoryWatch watch{loop, 1000, [this](const std::string& why) { told.push_back(why); },
                      [this] { return state; }};
};

}  // namespace

TEST_CASE("memory pressure is told when it begins, and when it has been over for 10 s") {
    WatchedHost host;
    host.watch.start();
    host.loop.advance(5s);
    CHECK(host.told.empty());

    host.state.available_mib = 999;
    host.loop.advance(1s);
    REQUIRE(host.told.size() == 1);
    CHECK(host.told[0] == "the host has less than 1000 MiB available, which are reserved");

    SUBCASE("neither is said twice") {
        host.loop.advance(60s);
        CHECK(host.told.size() == 1);
        host.state.available_mib = 1250;
        host.loop.advance(60s);
        CHECK(host.told.size() == 2);
    }
    SUBCASE("a little more than it is short at is not over") {
        host.state.available_mib = 1249;
        host.loop.advance(60s);
        CHECK(host.told.size() == 1);
        host.state.available_mib = 1250;
        host.loop.advance(10s);
        CHECK(host.told.size() == 1);  // The first calm look is one second later.
        host.loop.advance(1s);
        REQUIRE(host.told.size() == 2);
        CHECK(host.told[1].empty());
    }
    SUBCASE("calm is counted anew after each look that is not") {
        host.state.available_mib = 2000;
        host.loop.advance(9s);
        host.state.stalled_percent = 5.0;
        host.loop.advance(1s);
        host.state.stalled_percent = 4.9;
        host.loop.advance(10s);
        CHECK(host.told.size() == 1);
        host.loop.advance(1s);
        CHECK(host.told.size() == 2);
    }
    SUBCASE("it can begin again") {
        host.state.available_mib = 2000;
        host.loop.advance(11s);
        CHECK(host.told.size() == 2);
        host.state.stalled_percent = 10.0;
        host.loop.advance(1s);
        REQUIRE(host.told.size() == 3);
        CHECK(host.told[2].find("10% of the last 10 s") != std::string::npos);
    }
}

TEST_CASE("a host that starts under memory pressure says so at once") {
    WatchedHost host;
    host.state = {10, {}};
    host.watch.start();
    CHECK(host.told.size() == 1);
}

TEST_CASE("a kernel that tells nothing is under no pressure") {
    WatchedHost host;
    host.state = {};
    host.watch.start();
    host.loop.advance(60s);
    CHECK(host.told.empty());
}

}  // namespace shoal::node::test
