// Pseudo headers' sums, against sums made by hand.
#include "guest/net/tcp_checksum.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <vector>

namespace shoal::guest::net {
namespace {

using Bytes = std::vector<std::byte>;

Bytes packet(std::initializer_list<int> start, std::size_t size) {
    Bytes bytes(size);
    std::ranges::transform(start, bytes.begin(), [](int byte) { return std::byte(byte); });
    return bytes;
}

// 10.0.0.1 to 10.0.0.2, TCP, no payload.
Bytes ipv4_packet() {
    return packet({0,    0, 0, 0,  0, 0, 0, 0, 0,  0, 0, 0, 0x08, 0x00,  //
                   0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10,   0,    0, 1, 10, 0, 0, 2},
                  14 + 20 + 20);
}

int checksum_in(const Bytes& bytes, std::size_t at) {
    return std::to_integer<int>(bytes[at]) << 8 | std::to_integer<int>(bytes[at + 1]);
}

TEST_CASE("an IPv4 packet's TCP checksum is its pseudo header's sum") {
    Bytes bytes = ipv4_packet();
    const TcpChecksum checksum = start_tcp_checksum(bytes, bytes.size());
    CHECK(checksum.start == 34);
    CHECK(checksum.offset == 16);
    CHECK(checksum_in(bytes, 50) == 0x0A00 + 0x0001 + 0x0A00 + 0x0002 + 6 + 20);
}

TEST_CASE("the payload may lie elsewhere, and IPv4 may have options") {
    Bytes bytes = ipv4_packet();
    bytes[14] = std::byte{0x46};
    bytes.insert(bytes.begin() + 34, 4, std::byte{1});
    const TcpChecksum checksum = start_tcp_checksum(bytes, bytes.size() + 60'000);
    CHECK(checksum.start == 38);
    const int sum = 0x1400 + 0x0003 + 6 + 20 + 60'000;
    CHECK(checksum_in(bytes, 54) == (sum & 0xFFFF) + (sum >> 16));
}

TEST_CASE("an IPv6 packet's TCP checksum is its pseudo header's sum") {
    Bytes bytes = packet({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xDD, 0x60, 0, 0, 0, 0, 20, 6},
                         14 + 40 + 20);
    bytes[22] = std::byte{0xFD};
    bytes[53] = std::byte{2};
    const TcpChecksum checksum = start_tcp_checksum(bytes, bytes.size());
    CHECK(checksum.start == 54);
    CHECK(checksum_in(bytes, 70) == 0xFD00 + 2 + 6 + 20);
}

TEST_CASE("what is no TCP, or too short for it, is left alone") {
    const Bytes whole = ipv4_packet();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        Bytes bytes{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)};
        CHECK(start_tcp_checksum(bytes, bytes.size()).start == 0);
    }
    for (const std::size_t at : {12U, 23U}) {
        Bytes bytes = whole;
        bytes[at] = std::byte{0x11};
        CHECK(start_tcp_checksum(bytes, bytes.size()).start == 0);
    }
    Bytes bytes = whole;
    bytes[14] = std::byte{0x44};  // less than a header
    CHECK(start_tcp_checksum(bytes, bytes.size()).start == 0);
}

}  // namespace
}  // namespace shoal::guest::net
