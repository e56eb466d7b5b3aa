#include "controlplane/network/firewall.h"

#include <doctest/doctest.h>

namespace shoal::network {

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

}  // namespace shoal::network
