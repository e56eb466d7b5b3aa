// ICMP's messages by hand: which of them say that a datagram was refused.
#include "guest/net/refused_datagram.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

namespace shoal::guest::net {
namespace {

using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::initializer_list<int> numbers) {
    Bytes bytes(numbers.size());
    std::ranges::transform(numbers, bytes.begin(), [](int number) { return std::byte(number); });
    return bytes;
}

// From 10.0.0.2, port 0x1234, to 10.0.0.1, port 53.
Bytes ipv4_message() {
    return bytes_of({3,    3,    0, 0,  0, 0, 0, 0,                                          //
                     0x45, 0,    0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1,  //
                     0x12, 0x34, 0, 53});
}

// From fd00::2, port 0x1234, to fd00::1, port 53.
Bytes ipv6_message() {
    Bytes bytes = bytes_of({1, 4, 0, 0, 0, 0, 0, 0, 0x60, 0, 0, 0, 0, 8, 17, 64});
    bytes.resize(8 + 40);
    bytes[16] = bytes[32] = std::byte{0xFD};
    bytes[31] = std::byte{2};
    bytes[47] = std::byte{1};
    const Bytes ports = bytes_of({0x12, 0x34, 0, 53});
    bytes.insert(bytes.end(), ports.begin(), ports.end());
    return bytes;
}

TEST_CASE("a refused datagram's addresses and ports are those that the message quotes") {
    const Bytes v4 = ipv4_message();
    const auto datagram = refused_datagram(v4, IcmpVersion::v4);
    REQUIRE(datagram);
    CHECK(std::ranges::equal(datagram->source, bytes_of({10, 0, 0, 2})));
    CHECK(std::ranges::equal(datagram->destination, bytes_of({10, 0, 0, 1})));
    CHECK(datagram->source_port == 0x1234);
    CHECK(datagram->destination_port == 53);

    const Bytes v6 = ipv6_message();
    const auto datagram6 = refused_datagram(v6, IcmpVersion::v6);
    REQUIRE(datagram6);
    CHECK(datagram6->source.size() == 16);
    CHECK(datagram6->source.data() == v6.data() + 16);
    CHECK(datagram6->destination.data() == v6.data() + 32);
    CHECK(datagram6->source_port == 0x1234);
    CHECK(datagram6->destination_port == 53);
}

TEST_CASE("IPv4 that is quoted may have options") {
    Bytes bytes = ipv4_message();
    bytes[8] = std::byte{0x4F};
    bytes.insert(bytes.begin() + 28, 40, std::byte{1});
    REQUIRE(bytes.size() == refusal_bytes_max);
    const auto datagram = refused_datagram(bytes, IcmpVersion::v4);
    REQUIRE(datagram);
    CHECK(datagram->destination_port == 53);
}

TEST_CASE("messages that are cut refuse nothing") {
    for (const auto version : {IcmpVersion::v4, IcmpVersion::v6}) {
        Bytes bytes = version == IcmpVersion::v4 ? ipv4_message() : ipv6_message();
        CHECK(refused_datagram(bytes, version));
        while (!bytes.empty()) {
            bytes.pop_back();
            CHECK_FALSE(refused_datagram(bytes, version));
        }
    }
}

TEST_CASE("other messages and other protocols refuse nothing") {
    struct Change {
        std::size_t at;
        int value;
    };
    // Type, code, IP's version, its size, a later fragment, TCP.
    for (const Change change : {Change{0, 0}, {1, 1}, {8, 0x65}, {8, 0x44}, {15, 1}, {17, 6}}) {
        CAPTURE(change.at);
        Bytes bytes = ipv4_message();
        bytes[change.at] = std::byte(change.value);
        CHECK_FALSE(refused_datagram(bytes, IcmpVersion::v4));
    }
    for (const Change change : {Change{0, 3}, {1, 3}, {8, 0x40}, {14, 6}}) {
        CAPTURE(change.at);
        Bytes bytes = ipv6_message();
        bytes[change.at] = std::byte(change.value);
        CHECK_FALSE(refused_datagram(bytes, IcmpVersion::v6));
    }
    CHECK_FALSE(refused_datagram(ipv4_message(), IcmpVersion::v6));
    CHECK_FALSE(refused_datagram(ipv6_message(), IcmpVersion::v4));
}

}  // namespace
}  // namespace shoal::guest::net
