#include "controlplane/network/subnet.h"

#include <doctest/doctest.h>

namespace shoal::network {

TEST_CASE("addresses are four numbers between dots, and nothing else") {
    CHECK(parse_address("10.88.0.1") == Ipv4{0x0A580001});
    CHECK(parse_address("0.0.0.0") == Ipv4{0});
    CHECK(parse_address("255.255.255.255") == ~Ipv4{0});
    CHECK(to_text(0x0A580001) == "10.88.0.1");
    for (const char* text : {"", ".", "1.2.3", "1.2.3.", "1.2.3.4.", "1.2.3.4.5", "256.0.0.0",
                             "01.2.3.4", "1..2.3", "-1.2.3.4", "+1.2.3.4", "1.2.3.4 ", "a.b.c.d"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_address(text));
    }
}

TEST_CASE("a subnet has its own address, and 8 to 30 bits") {
    const auto subnet = parse_subnet("10.88.0.0/24");
    REQUIRE(subnet);
    CHECK(to_text(subnet->gateway()) == "10.88.0.1");
    CHECK(to_text(subnet->last()) == "10.88.0.255");
    CHECK(to_text(subnet->mask()) == "255.255.255.0");
    CHECK(to_text(parse_subnet("10.0.0.4/30")->mask()) == "255.255.255.252");
    CHECK(parse_subnet("10.0.0.0/8"));
    CHECK(parse_subnet("10.0.0.4/30"));
    for (const char* text : {"10.88.0.0", "10.88.0.1/24", "10.0.0.0/7", "10.0.0.0/31", "10.0.0.0/",
                             "/24", "10.0.0.0/024", "10.0.0.0/24/1", "10.0.0.6/30"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_subnet(text));
    }
    CHECK(subnet->overlaps(*parse_subnet("10.0.0.0/8")));
    CHECK(parse_subnet("10.0.0.0/8")->overlaps(*subnet));
    CHECK_FALSE(subnet->overlaps(*parse_subnet("10.88.1.0/24")));
}

TEST_CASE("the lowest free address is given out, until there is none") {
    const auto subnet = parse_subnet("10.0.0.8/29").value();
    std::map<Ipv4, std::string> taken;
    std::string given;
    while (const auto ip = find_free(subnet, taken)) {
        REQUIRE(taken.emplace(*ip, "x").second);
        given += to_text(*ip) + " ";
    }
    CHECK(given == "10.0.0.10 10.0.0.11 10.0.0.12 10.0.0.13 10.0.0.14 ");
    taken.erase(parse_address("10.0.0.12").value());
    CHECK(to_text(find_free(subnet, taken).value()) == "10.0.0.12");
    // Of another time's subnet: they are in nobody's way.
    CHECK(to_text(find_free(subnet, {{1, "x"}, {~Ipv4{0}, "x"}}).value()) == "10.0.0.10");
}

}  // namespace shoal::network
