// Bridges and TAPs of a network namespace that the test makes, as `ip` shows them.
#include "controlplane/network/host_networks.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <thread>

#include "controlplane/network/links.h"
#include "controlplane/node/provisions.h"
#include "tests/unit/controlplane/network/fake_nft.h"
#include "tests/unit/controlplane/store/event_loop_runner.h"

namespace shoal::network {

namespace {

using Wanted = HostNetworks::Wanted;

// Runs the body in a network of its own, on a thread of its own.
template <typename Body>
void in_own_network(Body body) {
    bool is_possible = ::access("/dev/net/tun", R_OK | W_OK) == 0;
    std::exception_ptr failure;
    std::thread{[&] {
        is_possible = is_possible && ::unshare(CLONE_NEWNET) == 0;
        try {
            if (is_possible) {
                body();
            }
        } catch (...) {
            failure = std::current_exception();
        }
    }}.join();
    if (failure) {
        std::rethrow_exception(failure);
    }
    if (!is_possible) {
        MESSAGE("no network namespace with a TAP here");
    }
}

std::string said_by(const std::string& command) {
    FILE* const pipe = ::popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::array<char, 4096> text{};
    const std::size_t count = std::fread(text.data(), 1, text.size(), pipe);
    ::pclose(pipe);
    return {text.data(), count};
}

bool is_in(const std::string& tap, const std::string& bridge) {
    return said_by("ip -o link show master " + bridge).find(tap) != std::string::npos;
}

// On the loop, until the rules hold.
std::string attach(HostNetworks& networks, store::test::EventLoopRunner& runner,
                   const std::string& microvm, const Wanted& network,
                   const std::vector<Wanted>& all) {
    std::string tap;
    runner.run_until([&] {
        try {
            tap = networks.attach(microvm, network, all);
        } catch (const node::NotYet&) {
        }
        return !tap.empty();
    });
    return tap;
}

Wanted network(const std::string& name, const std::string& subnet) {
    return {name, *parse_subnet(subnet)};
}

}  // namespace

TEST_CASE("a TAP that is in another network's bridge is taken out of it") {
    in_own_network([] {
        store::test::EventLoopRunner runner;
        HostNetworks networks{runner.context(), "/run/test"};
        const std::vector all{network("n1", "10.77.1.0/24"), network("n2", "10.77.2.0/24")};
        const std::string tap = attach(networks, runner, "a", all[0], all);
        CHECK(is_in(tap, networks.bridge_of("n1")));
        CHECK(attach(networks, runner, "a", all[0], all) == tap);
        CHECK(is_in(tap, networks.bridge_of("n1")));
        // Deleted and created again before the next sweep.
        CHECK(attach(networks, runner, "a", all[1], all) == tap);
        CHECK(is_in(tap, networks.bridge_of("n2")));
        CHECK_FALSE(is_in(tap, networks.bridge_of("n1")));
        CHECK_THROWS_AS(ensure_tap(tap, "nowhere"), std::exception);
    });
}

TEST_CASE("a network that is made again with another subnet has it, and a sweep takes all away") {
    in_own_network([] {
        store::test::EventLoopRunner runner;
        std::optional<HostNetworks> made{std::in_place, runner.context(), "/run/test"};
        HostNetworks& networks = *made;
        std::vector all{network("n", "10.77.1.0/24")};
        attach(networks, runner, "a", all[0], all);
        const std::string bridge = networks.bridge_of("n");
        const auto address = [&] { return said_by("ip -o -4 address show dev " + bridge); };
        CHECK(address().find("10.77.1.1/24") != std::string::npos);
        all = {network("n", "10.78.0.0/16")};
        SUBCASE("seen by a sweep first") {
            runner.run_until([&] { return networks.sweep({}, all); });
        }
        SUBCASE("seen by a microVM first") {}
        SUBCASE("seen by the next shoald") {
            made.emplace(runner.context(), "/run/test");
        }
        attach(networks, runner, "a", all[0], all);
        CHECK(address().find("10.78.0.1/16") != std::string::npos);
        CHECK(address().find("10.77.1.1") == std::string::npos);
        runner.run_until([&] { return networks.sweep({}, {}); });
        CHECK(interfaces() == std::vector<std::string>{"lo"});
        CHECK(said_by("nft list tables").empty());
    });
}

TEST_CASE("a microVM gets its TAP when the rules hold, and a sweep meanwhile takes nothing away") {
    in_own_network([] {
        test::FakeNft nft;
        store::test::EventLoopRunner runner;
        HostNetworks networks{runner.context(), "/run/test"};
        const std::vector all{network("n1", "10.77.1.0/24"), network("n2", "10.77.2.0/24")};
        const auto expect_not_yet = [&](const std::string& microvm, const Wanted& network) {
            CHECK_THROWS_AS(static_cast<void>(networks.attach(microvm, network, all)),
                            node::NotYet);
        };
        const auto end_nft = [&] {
            nft.wait_at_gate(runner);
            nft.open_gate("0");
        };
        const std::string bridge = networks.bridge_of("n1");
        expect_not_yet("a", all[0]);
        nft.wait_at_gate(runner);
        CHECK_FALSE(networks.sweep({"a"}, all));
        expect_not_yet("a", all[0]);
        expect_not_yet("b", all[1]);  // it changes what is to be guarded
        CHECK(interfaces() == std::vector<std::string>{"lo", bridge});
        CHECK(said_by("ip -o address show dev " + bridge).empty());
        CHECK(said_by("ip -o link show up").find(bridge) == std::string::npos);
        nft.open_gate("0");
        const std::string tap = attach(networks, runner, "a", all[0], all);
        CHECK(is_in(tap, bridge));
        CHECK(said_by("ip -o address show dev " + bridge).find("10.77.1.1/24") !=
              std::string::npos);
        CHECK(nft.runs() == 1);

        // Of a network that has rules already nobody waits.
        CHECK_FALSE(networks.attach("c", all[0], all).empty());
        expect_not_yet("b", all[1]);
        end_nft();
        CHECK(is_in(attach(networks, runner, "b", all[1], all), networks.bridge_of("n2")));
        CHECK(nft.runs() == 2);

        // The rules go before the bridges do.
        CHECK_FALSE(networks.sweep({}, {}));
        nft.wait_at_gate(runner);
        CHECK_FALSE(networks.sweep({}, {}));
        CHECK(interfaces().size() == 3);
        nft.open_gate("0");
        runner.run_until([&] { return networks.sweep({}, {}); });
        CHECK(interfaces() == std::vector<std::string>{"lo"});
        CHECK(nft.runs() == 3);
    });
}

TEST_CASE("a bridge that somebody deleted is made anew, with its address") {
    in_own_network([] {
        store::test::EventLoopRunner runner;
        HostNetworks networks{runner.context(), "/run/test"};
        const std::vector all{network("n", "10.77.1.0/24")};
        const std::string tap = attach(networks, runner, "a", all[0], all);
        const std::string bridge = networks.bridge_of("n");
        remove_bridge(bridge);
        CHECK(networks.attach("a", all[0], all) == tap);
        CHECK(is_in(tap, bridge));
        CHECK(said_by("ip -o address show dev " + bridge).find("10.77.1.1/24") !=
              std::string::npos);
    });
}

}  // namespace shoal::network
