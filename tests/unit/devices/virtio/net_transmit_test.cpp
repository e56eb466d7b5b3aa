// Packets from the guest to the host.
#include <doctest/doctest.h>

#include <string>

#include "tests/unit/devices/virtio/net_fixture.h"

namespace shoal::virtio {
namespace {

namespace flag = abi::virtio::descriptor_flag;
namespace net = abi::virtio::net;

constexpr std::size_t largest_frame = net::packet_bytes_max - sizeof(net::Header);

std::string packet_of(const std::string& frame) {
    return std::string(NetFixture::header, '\0') + frame;
}

TEST_CASE("packets reach the host as they are, and the driver gets its buffers back") {
    NetFixture f;
    f.start();
    f.guest_queues(0, make_frame(60, 1));
    f.guest_queues(1, make_frame(14, 2));
    f.guest_queues(2, make_frame(largest_frame, 3));
    f.notify(1);
    CHECK(f.host_receives() == packet_of(make_frame(60, 1)));
    CHECK(f.host_receives() == packet_of(make_frame(14, 2)));
    CHECK(f.host_receives() == packet_of(make_frame(largest_frame, 3)));
    CHECK(f.host_receives().empty());
    CHECK(f.tx.used_idx() == 3);
    CHECK(f.tx.used(2).size_bytes == 0);
    CHECK(f.irq.take() == 1);
    CHECK(f.device.metrics().tx_packets_count == 3);
    CHECK(f.device.metrics().tx_bytes_count == 60 + 14 + largest_frame);
    CHECK(f.device.metrics().tap_write_agg.sum_ns > f.device.metrics().tap_write_agg.max_ns);
}

TEST_CASE("a packet may lie in pieces anywhere in memory") {
    NetFixture f;
    f.start();
    const std::string packet = packet_of(make_frame(100));
    std::uint16_t idx = 0;
    std::size_t done = 0;
    for (const std::size_t piece : {5U, 7U, 1U, 13U, 86U}) {
        const std::uint64_t at = NetFixture::transmit_area + 0x1000ULL * idx + idx;
        REQUIRE(f.memory.write_bytes(machine::Gpa{at},
                                     std::as_bytes(std::span{packet}).subspan(done, piece)));
        const auto next = static_cast<std::uint16_t>(idx + 1);
        f.tx.describe(idx, {at, static_cast<std::uint32_t>(piece),
                            idx < 4 ? flag::next : std::uint16_t{0}, next});
        done += piece;
        idx = next;
    }
    REQUIRE(done == packet.size());
    f.tx.offer(0);
    f.notify(1);
    CHECK(f.host_receives() == packet);
}

TEST_CASE("packets of an impossible size are dropped, and nothing else") {
    NetFixture f;
    f.start();
    SUBCASE("no room for a header") {
        f.tx.offer_buffer(0, NetFixture::transmit_area, 11, 0);
    }
    SUBCASE("a header alone") {
        f.tx.offer_buffer(0, NetFixture::transmit_area, 12, 0);
    }
    SUBCASE("a runt") {
        f.tx.offer_buffer(0, NetFixture::transmit_area, 25, 0);
    }
    SUBCASE("one byte more than the largest") {
        f.tx.offer_buffer(0, NetFixture::transmit_area, net::packet_bytes_max + 1, 0);
    }
    SUBCASE("all memory") {
        f.tx.offer_buffer(0, 0, 16 << 20, 0);
    }
    SUBCASE("nothing to read") {
        f.tx.offer_buffer(0, NetFixture::transmit_area, 100, flag::write);
    }
    f.guest_sends(1, make_frame(60));
    CHECK(f.tx.used_idx() == 2);
    CHECK(f.device.metrics().tx_malformed_frames == 1);
    CHECK(f.device.metrics().tx_fails == 1);
    CHECK(f.host_receives() == packet_of(make_frame(60)));
    CHECK_FALSE(f.needs_reset());
}

TEST_CASE("a malformed transmit queue stops the device") {
    NetFixture f;
    f.start();
    f.guest_queues(0, make_frame(60));
    SUBCASE("descriptor outside the table") {
        f.tx.offer(NetFixture::size);
    }
    SUBCASE("empty buffer") {
        f.tx.offer_buffer(1, NetFixture::transmit_area, 0, 0);
    }
    SUBCASE("index jumped") {
        f.tx.set_avail_idx(NetFixture::size + 2);
    }
    f.notify(1);
    CHECK(f.needs_reset());
    f.guest_sends(2, make_frame(60));
    f.host_sends(make_frame(60));
    f.serve();
    f.start();
    f.guest_sends(0, make_frame(99));
    std::string last;
    for (std::string next = f.host_receives(); !next.empty(); next = f.host_receives()) {
        last = next;
    }
    CHECK(last == packet_of(make_frame(99)));
}

// Until the socket takes no more; how many it took.
unsigned fill_tap(NetFixture& f) {
    unsigned count = 0;
    while (f.device.metrics().tx_packets_count == count) {
        f.guest_sends(static_cast<std::uint16_t>(count % NetFixture::size),
                      make_frame(20'000, count));
        ++count;
        REQUIRE(count < NetFixture::size);
    }
    return count - 1;
}

TEST_CASE("a TAP that is full is waited for, and the order is kept") {
    NetFixture f;
    f.start();
    const unsigned taken = fill_tap(f);
    CHECK(f.tx.used_idx() == taken);
    f.guest_queues(static_cast<std::uint16_t>(taken + 1), make_frame(20'000, taken + 1));
    f.notify(1);
    CHECK_FALSE(f.reactor.dispatch(0));
    CHECK(f.tx.used_idx() == taken);
    for (unsigned count = 0; count <= taken + 1; ++count) {
        f.serve();
        CHECK(f.host_receives() == packet_of(make_frame(20'000, count)));
    }
    f.serve();
    CHECK(f.host_receives().empty());
    CHECK(f.tx.used_idx() == taken + 2);
    CHECK(f.device.metrics().tx_fails == 0);
}

TEST_CASE("the driver may reset the device while packets wait for the TAP") {
    NetFixture f;
    f.start();
    const unsigned taken = fill_tap(f);
    f.start();
    for (unsigned count = 0; count < taken; ++count) {
        CHECK(f.host_receives() == packet_of(make_frame(20'000, count)));
    }
    f.serve();
    CHECK(f.host_receives().empty());
    f.guest_sends(0, make_frame(60));
    CHECK(f.host_receives() == packet_of(make_frame(60)));
}

TEST_CASE("packets from another address are sent, and counted") {
    NetConfig config;
    config.guest_mac = net::MacAddress{2, 0, 0, 0, 0, 9};
    NetFixture f{config};
    f.start();
    std::string frame = make_frame(60);
    f.guest_sends(0, frame);
    CHECK(f.device.metrics().tx_spoofed_mac_count == 1);
    std::ranges::copy(*config.guest_mac, frame.begin() + 6);
    SUBCASE("in one buffer") {
        f.guest_sends(1, frame);
    }
    SUBCASE("in two, the address in both") {
        const std::string packet = packet_of(frame);
        const std::uint64_t at = NetFixture::transmit_area;
        REQUIRE(f.memory.write_bytes(machine::Gpa{at}, std::as_bytes(std::span{packet})));
        f.tx.describe(0, {at, 20, flag::next, 1});
        f.tx.describe(1, {at + 20, 52, 0, 0});
        f.tx.offer(0);
        f.notify(1);
    }
    CHECK(f.device.metrics().tx_spoofed_mac_count == 1);
    CHECK(f.device.metrics().tx_packets_count == 2);
}

TEST_CASE("many packets are sent in several passes") {
    NetFixture f;
    f.start();
    unsigned received = 0;
    for (unsigned sent = 0; sent < 640;) {
        for (std::uint16_t idx = 0; idx < NetFixture::size; ++idx) {
            f.guest_queues(idx, make_frame(64, sent++));
        }
        f.notify(1);
        while (received < sent) {
            CHECK(f.host_receives() == packet_of(make_frame(64, received++)));
            f.serve();
        }
    }
    CHECK(f.tx.used_idx() == 640);
}

}  // namespace
}  // namespace shoal::virtio
