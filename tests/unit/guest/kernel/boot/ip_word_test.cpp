// ip= as Linux reads it.
#include "guest/kernel/boot/ip_word.h"

#include <doctest/doctest.h>

namespace shoal::guest {
namespace {

TEST_CASE("one word says where the address comes from") {
    CHECK(parse_ip_word("dhcp")->source == Ipv4Source::dhcp);
    CHECK(parse_ip_word("on")->source == Ipv4Source::dhcp);
    CHECK(parse_ip_word("any")->source == Ipv4Source::dhcp);
    CHECK(parse_ip_word("off")->source == Ipv4Source::none);
    CHECK(parse_ip_word("none")->source == Ipv4Source::none);
    CHECK_FALSE(parse_ip_word("rarp"));
    CHECK_FALSE(parse_ip_word(""));
}

TEST_CASE("a static configuration has its fields between colons") {
    const auto word = parse_ip_word("10.0.0.2::10.0.0.1:255.255.255.0:reef:eth0:off");
    REQUIRE(word);
    CHECK(word->source == Ipv4Source::fixed);
    CHECK(word->address == Ipv4Bytes{10, 0, 0, 2});
    CHECK(word->gateway == Ipv4Bytes{10, 0, 0, 1});
    CHECK(word->netmask == Ipv4Bytes{255, 255, 255, 0});
    CHECK(word->hostname == "reef");
    CHECK(word->dns == NameServers{});
    const auto named = parse_ip_word("10.0.0.2:::::eth0:off:10.0.0.1:8.8.8.8");
    REQUIRE(named);
    CHECK(named->dns == NameServers{Ipv4Bytes{10, 0, 0, 1}, Ipv4Bytes{8, 8, 8, 8}});
    CHECK(parse_ip_word("::::::dhcp:10.0.0.1")->dns[0] == Ipv4Bytes{10, 0, 0, 1});
    CHECK(!parse_ip_word("::::::dhcp:10.0.0"));
}

TEST_CASE("fields may be empty or missing") {
    CHECK(parse_ip_word("10.1.2.3")->netmask == Ipv4Bytes{255, 0, 0, 0});
    CHECK(parse_ip_word("172.16.0.9::")->netmask == Ipv4Bytes{255, 255, 0, 0});
    CHECK(parse_ip_word("192.168.1.9:::")->netmask == Ipv4Bytes{255, 255, 255, 0});
    CHECK(parse_ip_word("192.168.1.9")->gateway == Ipv4Bytes{});
    CHECK(parse_ip_word("::::reef::dhcp")->source == Ipv4Source::dhcp);
    CHECK(parse_ip_word("::::reef::dhcp")->hostname == "reef");
    CHECK(parse_ip_word("::::::none")->source == Ipv4Source::none);
    CHECK(parse_ip_word("10.1.2.3::::::off:10.0.0.53")->source == Ipv4Source::fixed);
}

TEST_CASE("what is no address is refused") {
    for (const char* text :
         {"10.0.0:", "10.0.0.256:", "10.0.0.0.1:", "10.0.0.:", "10.0.0.a:", "10.0.0.1000:",
          "10.0.0.1:x", "10.0.0.1:::255.255.255", "10.0.0.1::::::sometimes"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_ip_word(text));
    }
}

TEST_CASE("shoal.ip6= has an address, and may have bits and a gateway") {
    CHECK(parse_ip6_word("fd00::2")->prefix_bits == 64);
    const auto word = parse_ip6_word("fd00::2/48,fd00::1");
    REQUIRE(word);
    CHECK(word->address == "fd00::2");
    CHECK(word->prefix_bits == 48);
    CHECK(word->gateway == "fd00::1");
    CHECK_FALSE(parse_ip6_word(""));
    CHECK_FALSE(parse_ip6_word("/64"));
    CHECK_FALSE(parse_ip6_word("fd00::2/129"));
    CHECK_FALSE(parse_ip6_word("fd00::2/x"));
}

}  // namespace
}  // namespace shoal::guest
