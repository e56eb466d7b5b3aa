// Bridges and TAPs of a network namespace that the test makes, as `ip` shows them.
#include "controlplane/network/host_networks.h"

#include <doctest/doctest.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>

#include "controlplane/network/links.h"

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

Wanted network(const std::string& name, const std::string& subnet) {
    return {name, *parse_subnet(subnet)};
}

}  // namespace

TEST_CASE("a TAP that is in another network's bridge is taken out of it") {
    in_own_network([] {
        HostNetworks networks{"/run/test"};
        const std::vector all{network("n1", "10.77.1.0/24"), network("n2", "10.77.2.0/24")};
        const std::string tap = networks.attach("a", all[0], all);
        CHECK(is_in(tap, networks.bridge_of("n1")));
        CHECK(networks.attach("a", all[0], all) == tap);
        CHECK(is_in(tap, networks.bridge_of("n1")));
        // Deleted and created again before the next sweep.
        CHECK(networks.attach("a", all[1], all) == tap);
        CHECK(is_in(tap, networks.bridge_of("n2")));
        CHECK_FALSE(is_in(tap, networks.bridge_of("n1")));
        CHECK_THROWS_AS(ensure_tap(tap, "nowhere"), std::exception);
    });
}

TEST_CASE("a network that is made again with another subnet has it, and a sweep takes all away") {
    in_own_network([] {
        HostNetworks networks{"/run/test"};
        std::vector all{network("n", "10.77.1.0/24")};
        static_cast<void>(networks.attach("a", all[0], all));
        const std::string bridge = networks.bridge_of("n");
        const auto address = [&] { return said_by("ip -o -4 address show dev " + bridge); };
        CHECK(address().find("10.77.1.1/24") != std::string::npos);
        all = {network("n", "10.78.0.0/16")};
        SUBCASE("seen by a sweep first") {
            CHECK(networks.sweep({}, all));
        }
        SUBCASE("seen by a microVM first") {}
        SUBCASE("seen by the next shoald") {
            networks = HostNetworks{"/run/test"};
        }
        static_cast<void>(networks.attach("a", all[0], all));
        CHECK(address().find("10.78.0.1/16") != std::string::npos);
        CHECK(address().find("10.77.1.1") == std::string::npos);
        CHECK(networks.sweep({}, {}));
        CHECK(interfaces() == std::vector<std::string>{"lo"});
        CHECK(said_by("nft list tables").empty());
    });
}

}  // namespace shoal::network
