#include "controlplane/network/firewall.h"

#include <doctest/doctest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/node/provisions.h"
#include "tests/unit/controlplane/network/fake_nft.h"

namespace shoal::network {

namespace {

using Bridges = std::vector<GuardedBridge>;

const GuardedBridge b1{"b1", {0x0A000000, 24}, false};
const GuardedBridge b2{"b2", {0x0A000100, 24}, false};
const GuardedBridge b3{"b3", {0x0A000200, 24}, false};

struct Rig {
    // Whether the rules hold; a failure is noted.
    bool hold(const Bridges& bridges) {
        try {
            firewall->expect(bridges);
            return true;
        } catch (const node::NotYet& reason) {
            pause = reason.retry();
            return false;
        } catch (const std::runtime_error& error) {
            failure = error.what();
            return false;
        }
    }
    // Of the run that is to be asked for with these.
    std::string failure_of(const Bridges& bridges) {
        failure.clear();
        runner.run_until([&] { return hold(bridges) || !failure.empty(); });
        return failure;
    }

    test::FakeNft nft;
    store::test::EventLoopRunner runner;
    std::optional<Firewall> firewall{std::in_place, runner.context(), "t"};
    std::chrono::milliseconds pause{};
    std::string failure;
};

}  // namespace

TEST_CASE("rules replace those of before, and without bridges nothing is left") {
    CHECK(firewall_script("t", {}) == "add table inet t\ndelete table inet t\n");
    const std::string script = firewall_script("t", {{"b1", {0x0A000000, 24}, false}});
    CHECK(script.starts_with("add table inet t\ndelete table inet t\ntable inet t {\n"));
    CHECK(script.find("masquerade") == std::string::npos);
    CHECK(script.find("ip daddr 10.0.0.1 icmp type echo-request accept") != std::string::npos);
}

TEST_CASE("what goes from one bridge to another is dropped before anything is accepted") {
    const std::string script =
        firewall_script("t", {{"b1", {0x0A000000, 24}, true}, {"b2", {0x0A000100, 24}, false}});
    const std::size_t drop = script.find(R"(iifname { "b1", "b2" } oifname { "b1", "b2" } drop)");
    REQUIRE(drop != std::string::npos);
    CHECK(script.find(R"(iifname "b2" oifname "b2" accept)") < drop);
    CHECK(drop < script.find(R"(iifname "b1" ip saddr 10.0.0.0/24 accept)"));
    CHECK(script.find(R"(iifname "b2" ip saddr)") == std::string::npos);
    CHECK(script.find(R"(ip saddr 10.0.0.0/24 oifname != "b1" masquerade)") != std::string::npos);
}

TEST_CASE("the loop goes on while nft runs, and the rules do not hold before it has ended") {
    Rig rig;
    CHECK_FALSE(rig.hold({b1}));
    CHECK(rig.pause < std::chrono::seconds{1});  // too short to be told
    rig.nft.wait_at_gate(rig.runner);
    int ticks = 0;
    std::function<void()> tick = [&] {
        CHECK_FALSE(rig.hold({b1}));
        if (++ticks < 3) {
            rig.runner.loop().call_after(std::chrono::milliseconds{1}, tick);
        }
    };
    tick();
    rig.runner.run_until([&] { return ticks == 3; });
    rig.nft.open_gate("0");
    rig.runner.run_until([&] { return rig.hold({b1}); });
    CHECK(rig.nft.rules() == firewall_script("t", {b1}));
    CHECK(rig.hold({b1}));
    CHECK(rig.nft.runs() == 1);
    CHECK(rig.nft.is_gone());
}

TEST_CASE("whatever changes while nft runs goes into one further run") {
    Rig rig;
    CHECK_FALSE(rig.hold({b1}));
    rig.nft.wait_at_gate(rig.runner);
    for (const Bridges& bridges : {Bridges{b1, b2}, Bridges{b2}, Bridges{b1, b2, b3}}) {
        CHECK_FALSE(rig.hold(bridges));
    }
    rig.nft.open_gate("0");
    // What this one has set is not what is wanted by now.
    rig.runner.run_until([&] { return rig.nft.runs() == 1 && rig.nft.is_gone(); });
    CHECK_FALSE(rig.hold({b1, b2, b3}));
    rig.runner.run_until([&] { return !rig.hold({b1, b2, b3}) && rig.nft.runs() == 2; });
    rig.nft.wait_at_gate(rig.runner);
    CHECK_FALSE(rig.hold({b1}));  // held before
    rig.nft.open_gate("0");
    rig.runner.run_until([&] { return rig.hold({b1, b2, b3}); });
    CHECK(rig.nft.rules() == firewall_script("t", {b1, b2, b3}));
    CHECK(rig.nft.runs() == 2);
}

TEST_CASE("an nft that fails is told once, by its first line, and tried again by who asks then") {
    Rig rig;
    for (std::size_t run = 1; run <= 2; ++run) {
        CHECK_FALSE(rig.hold({b1}));
        rig.nft.wait_at_gate(rig.runner);
        rig.nft.open_gate("1 Error: no such thing");
        CHECK(rig.failure_of({b1}) == "nft refuses the rules: Error: no such thing");
        CHECK(rig.nft.runs() == run);
    }
    CHECK_FALSE(rig.hold({b1}));
    rig.nft.wait_at_gate(rig.runner);
    rig.nft.open_gate("0");
    CHECK(rig.failure_of({b1}).empty());
    SUBCASE("one that is wanted no more is not told") {
        CHECK_FALSE(rig.hold({b1, b2}));
        rig.nft.wait_at_gate(rig.runner);
        rig.nft.open_gate("1");
        rig.runner.run_until([&] { return rig.nft.is_gone(); });
        rig.runner.run_until([&] { return !rig.hold({b1}) && rig.nft.runs() == 5; });
        CHECK(rig.failure.empty());
    }
}

TEST_CASE("without nft it is said where it comes from") {
    Rig rig;
    const std::string path = ::getenv("PATH");
    ::setenv("PATH", "/nowhere", 1);
    const std::string failure = rig.failure_of({b1});
    ::setenv("PATH", path.c_str(), 1);
    CHECK(failure == "cannot run nft (of the package nftables): No such file or directory");
}

TEST_CASE("an nft that hangs is killed, and the next one is not") {
    Rig rig;
    rig.firewall.emplace(rig.runner.context(), "t", std::chrono::milliseconds{500});
    CHECK_FALSE(rig.hold({b1}));
    rig.nft.wait_at_gate(rig.runner);
    CHECK(rig.failure_of({b1}) == "nft took more than 500 ms and was killed");
    CHECK(rig.nft.is_gone());
    CHECK_FALSE(rig.hold({b1}));
    rig.nft.wait_at_gate(rig.runner);
    rig.nft.open_gate("0");
    CHECK(rig.failure_of({b1}).empty());
}

TEST_CASE("an nft that runs is gone with who has started it, and so is what it would have told") {
    Rig rig;
    CHECK_FALSE(rig.hold({b1}));
    rig.nft.wait_at_gate(rig.runner);
    rig.firewall.reset();
    CHECK(rig.nft.is_gone());
    rig.runner.context().restart();
    CHECK(rig.runner.context().poll() == 1);
}

}  // namespace shoal::network
