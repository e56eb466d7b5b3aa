// --network of `shoal run`.
#include "controlplane/cli/network.h"

#include <doctest/doctest.h>

#include "controlplane/cli/cli_error.h"

namespace shoal::cli {
namespace {

TEST_CASE("a TAP alone gets its addresses from others") {
    const NetworkOption network = parse_network("tap=tap0");
    CHECK(network.tap == "tap0");
    CHECK(network_words(network) == " ip=dhcp");
}

TEST_CASE("addresses become words of the kernel's command line") {
    CHECK(network_words(parse_network("tap=t,ip=10.0.0.2/24,gateway=10.0.0.1")) ==
          " ip=10.0.0.2::10.0.0.1:255.255.255.0:::off");
    CHECK(network_words(parse_network("tap=t,ip=10.0.0.2/24,dns=10.0.0.1,dns=10.0.0.3")) ==
          " ip=10.0.0.2:::255.255.255.0:::off:10.0.0.1:10.0.0.3");
    CHECK(network_words(parse_network("tap=t,dns=10.0.0.1")) == " ip=::::::dhcp:10.0.0.1");
    CHECK(network_words(parse_network("ip=10.0.0.2/0,tap=t")) == " ip=10.0.0.2:::0.0.0.0:::off");
    CHECK(network_words(parse_network("tap=t,ip=10.0.0.2/32")) ==
          " ip=10.0.0.2:::255.255.255.255:::off");
    CHECK(network_words(parse_network("tap=t,ip=10.0.0.2/20,ip6=fd00::2/64,gateway6=fd00::1")) ==
          " ip=10.0.0.2:::255.255.240.0:::off shoal.ip6=fd00::2/64,fd00::1");
}

TEST_CASE("copies have the addresses behind the first one's, and TAPs with their number") {
    const NetworkOption first =
        parse_network("tap=t{},ip=10.0.0.254/16,ip6=fd00::ffff/64,gateway=10.0.0.1");
    const NetworkOption copy = network_of_copy(first, 3);
    CHECK(copy.tap == "t3");
    CHECK(copy.ip == "10.0.1.1/16");
    CHECK(copy.ip6 == "fd00::1:2/64");
    CHECK(copy.gateway == "10.0.0.1");
    CHECK(copy.mac == "02:00:0a:00:01:01");
    CHECK(network_of_copy(first, 0).ip == first.ip);
    CHECK(network_of_copy(parse_network("tap=t,mac=06:00:00:00:00:ff"), 1).mac ==
          "06:00:00:00:01:00");
}

TEST_CASE("a copy without an address of its own is refused") {
    CHECK_THROWS_AS(static_cast<void>(network_of_copy(parse_network("tap=t"), 1)), CliError);
    CHECK_THROWS_AS(static_cast<void>(network_of_copy(parse_network("tap=t,mac=x"), 0)), CliError);
    const NetworkOption small = parse_network("tap=t,ip=10.0.0.250/24,mac=06:00:00:ff:ff:fe");
    CHECK(network_of_copy(small, 1).mac == "06:00:00:ff:ff:ff");
    CHECK_THROWS_AS(static_cast<void>(network_of_copy(small, 2)), CliError);
    CHECK_THROWS_AS(static_cast<void>(network_of_copy(parse_network("tap=t,ip=10.0.0.250/24"), 6)),
                    CliError);
    CHECK_THROWS_AS(
        static_cast<void>(network_of_copy(parse_network("tap=t,ip=255.255.255.255/0"), 1)),
        CliError);
}

TEST_CASE("what cannot be is refused") {
    for (const char* text :
         {"", "tap=", "tap", "tap0", "ip=10.0.0.2/24", "tap=a-name-that-is-too-long",
          "tap=t,ip=10.0.0.2", "tap=t,ip=10.0.0.2/33", "tap=t,ip=10.0.0.2/", "tap=t,ip=10.0.0/24",
          "tap=t,ip=fd00::1/64", "tap=t,ip6=10.0.0.2/24", "tap=t,ip6=fd00::1/129",
          "tap=t,gateway=10.0.0.1", "tap=t,ip=10.0.0.2/24,gateway=x", "tap=t,gateway6=fd00::1",
          "tap=t,dns=", "tap=t,dns=fd00::1", "tap=t,dns=1.1.1.1,dns=1.1.1.2,dns=1.1.1.3"}) {
        CAPTURE(text);
        CHECK_THROWS_AS(static_cast<void>(parse_network(text)), CliError);
    }
}

}  // namespace
}  // namespace shoal::cli
