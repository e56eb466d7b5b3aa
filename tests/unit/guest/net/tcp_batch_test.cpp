// Packets that continue one another become one, and no others.
#include "guest/net/tcp_batch.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

namespace shoal::guest::net {
namespace {

using Bytes = std::vector<std::byte>;
using Family = TcpBatch::Family;

constexpr std::uint32_t data = 1000;

void put(Bytes& bytes, std::size_t at, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
        bytes[at + i] = static_cast<std::byte>(value >> (8 * (size - 1 - i)));
    }
}

std::uint64_t get(std::span<const std::byte> bytes, std::size_t at, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
        value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
    }
    return value;
}

std::size_t tcp_at(Family family) {
    return family == Family::ipv4 ? 34 : 54;
}

// A packet of `data_bytes` from this sequence number on.
Bytes packet(Family family, std::uint32_t sequence, std::size_t data_bytes = data) {
    const std::size_t tcp = tcp_at(family);
    Bytes bytes(tcp + 20 + data_bytes);
    put(bytes, 0, 0x060000000001, 6);
    if (family == Family::ipv4) {
        put(bytes, 12, 0x0800'4500, 4);
        put(bytes, 16, bytes.size() - 14, 2);
        put(bytes, 18, sequence % 1000, 2);  // identification
        put(bytes, 22, 0x4006'1234, 4);      // time to live, TCP, a sum
        put(bytes, 26, 0x0A00'0001'0A00'0002, 8);
    } else {
        put(bytes, 12, 0x86DD'6000'0000, 6);
        put(bytes, 18, bytes.size() - 54, 2);
        put(bytes, 20, 0x0640, 2);
        put(bytes, 22, 0xFD00, 2);
        put(bytes, 53, 2, 1);
    }
    put(bytes, tcp, 0x0050'1F40, 4);
    put(bytes, tcp + 4, sequence, 4);
    put(bytes, tcp + 8, 77, 4);
    put(bytes, tcp + 12, 0x5010'2000, 4);
    return bytes;
}

std::span<const std::byte> headers(const Bytes& bytes, Family family) {
    return std::span{bytes}.first(tcp_at(family) + 20);
}

bool start(TcpBatch& batch, const Bytes& bytes, Family family = Family::ipv4) {
    return batch.start(headers(bytes, family), bytes.size());
}

bool add(TcpBatch& batch, const Bytes& bytes, Family family = Family::ipv4) {
    return batch.add(headers(bytes, family), bytes.size());
}

std::uint32_t ipv4_sum(std::span<const std::byte> bytes) {
    std::uint32_t sum = 0;
    for (std::size_t at = 14; at < 34; at += 2) {
        sum += static_cast<std::uint32_t>(get(bytes, at, 2));
    }
    return (sum & 0xFFFF) + (sum >> 16);
}

TEST_CASE("packets in a row become one with their lengths and sums") {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        TcpBatch batch;
        Bytes last = packet(family, 0U - 256 + 2 * data, 5);  // sequence numbers wrap
        put(last, tcp_at(family) + 13, 0x18, 1);              // ACK and PSH
        REQUIRE(start(batch, packet(family, 0xFFFF'FF00), family));
        REQUIRE(add(batch, packet(family, 0U - 256 + data), family));
        REQUIRE(add(batch, last, family));
        CHECK(batch.family() == family);
        CHECK(batch.segment_bytes() == data);
        const auto whole = batch.finish();
        const std::size_t tcp = tcp_at(family);
        const std::size_t tcp_bytes = 20 + 2 * data + 5;
        REQUIRE(whole.headers.size() == tcp + 20);
        CHECK(get(whole.headers, tcp + 4, 4) == 0xFFFF'FF00);
        CHECK(get(whole.headers, tcp + 13, 1) == 0x18);
        CHECK(whole.checksum.start == tcp);
        const std::uint64_t addresses =
            family == Family::ipv4 ? 0x0A00 + 1 + 0x0A00 + 2 : 0xFD00 + 2;
        const std::uint64_t sum = addresses + 6 + tcp_bytes;
        CHECK(get(whole.headers, tcp + 16, 2) == (sum & 0xFFFF) + (sum >> 16));
        if (family == Family::ipv4) {
            CHECK(get(whole.headers, 16, 2) == 20 + tcp_bytes);
            CHECK(ipv4_sum(whole.headers) == 0xFFFF);
        } else {
            CHECK(get(whole.headers, 18, 2) == tcp_bytes);
        }
    }
}

TEST_CASE("what does not continue the batch is not added, and the batch stays as it was") {
    TcpBatch batch;
    REQUIRE(start(batch, packet(Family::ipv4, 1)));
    Bytes next = packet(Family::ipv4, 1 + data);
    SUBCASE("a gap") {
        next = packet(Family::ipv4, 2 + data);
    }
    SUBCASE("the same again") {
        next = packet(Family::ipv4, 1);
    }
    SUBCASE("more data") {
        next = packet(Family::ipv4, 1 + data, data + 1);
    }
    SUBCASE("no data") {
        next = packet(Family::ipv4, 1 + data, 0);
    }
    SUBCASE("another family") {
        next = packet(Family::ipv6, 1 + data);
    }
    SUBCASE("another network address") {
        put(next, 5, 2, 1);
    }
    SUBCASE("another time to live") {
        put(next, 22, 1, 1);
    }
    SUBCASE("another host") {
        put(next, 33, 3, 1);
    }
    SUBCASE("another port") {
        put(next, 37, 3, 1);
    }
    SUBCASE("another acknowledgement") {
        put(next, 42, 78, 4);
    }
    SUBCASE("another window") {
        put(next, 48, 0x2001, 2);
    }
    SUBCASE("FIN") {
        put(next, 47, 0x11, 1);
    }
    SUBCASE("urgent data") {
        put(next, 52, 1, 2);
    }
    SUBCASE("options") {
        put(next, 46, 0x60, 1);
    }
    SUBCASE("a fragment") {
        put(next, 20, 0x2000, 2);
    }
    SUBCASE("a wrong length") {
        put(next, 16, 40, 2);
    }
    CHECK_FALSE(add(batch, next));
    CHECK(add(batch, packet(Family::ipv4, 1 + data)));
    CHECK(get(batch.finish().headers, 16, 2) == 40 + 2 * data);
}

TEST_CASE("a packet with less data is the last, and 64 KiB are the most") {
    TcpBatch batch;
    REQUIRE(start(batch, packet(Family::ipv4, 1)));
    REQUIRE(add(batch, packet(Family::ipv4, 1 + data, 1)));
    CHECK_FALSE(add(batch, packet(Family::ipv4, 2 + data)));
    REQUIRE(start(batch, packet(Family::ipv4, 0)));
    for (std::uint32_t count = 1; count < 65; ++count) {
        REQUIRE(add(batch, packet(Family::ipv4, count * data)));
    }
    CHECK_FALSE(add(batch, packet(Family::ipv4, 65 * data)));
    CHECK(add(batch, packet(Family::ipv4, 65 * data, 0xFFFF - 40 - 65 * data)));
    CHECK(get(batch.finish().headers, 16, 2) == 0xFFFF);
}

TEST_CASE("what cannot be split starts no batch") {
    TcpBatch batch;
    Bytes bytes = packet(Family::ipv4, 1);
    std::size_t first = 54;
    SUBCASE("SYN") {
        put(bytes, 47, 0x12, 1);
    }
    SUBCASE("RST") {
        put(bytes, 47, 0x14, 1);
    }
    SUBCASE("no ACK") {
        put(bytes, 47, 0x08, 1);
    }
    SUBCASE("UDP") {
        put(bytes, 23, 17, 1);
    }
    SUBCASE("ARP") {
        put(bytes, 12, 0x0806, 2);
    }
    SUBCASE("IPv4 with options") {
        put(bytes, 14, 0x46, 1);
    }
    SUBCASE("a fragment") {
        put(bytes, 20, 1, 2);
    }
    SUBCASE("a wrong length") {
        put(bytes, 16, 2000, 2);
    }
    SUBCASE("a TCP header that is too small") {
        put(bytes, 46, 0x40, 1);
    }
    SUBCASE("a TCP header beyond what is there") {
        put(bytes, 46, 0xF0, 1);
    }
    SUBCASE("no data") {
        bytes = packet(Family::ipv4, 1, 0);
    }
    SUBCASE("cut off") {
        first = 53;
    }
    SUBCASE("cut off IPv6") {
        bytes = packet(Family::ipv6, 1);
        first = 73;
    }
    SUBCASE("nothing") {
        first = 0;
    }
    CHECK_FALSE(batch.start(std::span{bytes}.first(first), bytes.size()));
}

}  // namespace
}  // namespace shoal::guest::net
