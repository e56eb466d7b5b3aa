// What a hostile driver may send to a vsock device: it is dropped, refused, or ends the device.
#include <doctest/doctest.h>

#include <string>

#include "devices/virtio/vsock_packet.h"
#include "tests/unit/devices/virtio/vsock_guest.h"

namespace shoal::virtio {
namespace {

namespace vsock = abi::virtio::vsock;
namespace flag = abi::virtio::descriptor_flag;
using vsock::Operation;
constexpr VsockPorts outgoing{52, 1024};

bool needs_reset(const VsockGuest& guest) {
    return (guest.driver.status() & abi::virtio::status::device_needs_reset) != 0;
}

TEST_CASE("packets that cannot be answered are dropped and counted") {
    VsockGuest guest;
    guest.start_and_listen();
    VsockGuest::Header header = guest.make_header(Operation::request, outgoing);
    SUBCASE("from another guest") {
        header.src_cid = vsock::Cid::of(4);
    }
    SUBCASE("from a cid that differs only in its upper half") {
        header.src_cid.high = 1;
    }
    SUBCASE("to another guest") {
        header.dst_cid = vsock::Cid::of(4);
    }
    SUBCASE("to itself") {
        header.dst_cid = header.src_cid;
    }
    SUBCASE("longer than their chain by one") {
        header.len = 1;
    }
    SUBCASE("longer than anything") {
        header.len = 0xFFFF'FFFF;
    }
    guest.send(header);
    guest.settle();
    CHECK(guest.heard.empty());
    CHECK(guest.is_alive());
    CHECK(guest.device.metrics().tx_malformed_count == 1);
}

TEST_CASE("a chain that is shorter than a header is dropped and counted") {
    VsockGuest guest;
    guest.start_and_listen();
    SUBCASE("by one") {
        guest.rings[1].offer_buffer(0, 0x100000, 43, 0);
    }
    SUBCASE("a single byte") {
        guest.rings[1].offer_buffer(0, 0x100000, 1, 0);
    }
    SUBCASE("nothing to read at all") {
        guest.rings[1].offer_buffer(0, 0x100000, 4096, flag::write);
    }
    guest.driver.notify(1);
    CHECK(guest.rings[1].used_idx() == 1);
    CHECK(guest.device.metrics().tx_malformed_count == 1);
    CHECK(guest.is_alive());
}

TEST_CASE("a header may be cut into pieces, and what is behind the payload is not looked at") {
    VsockGuest guest;
    guest.start_and_listen();
    const VsockServer server{guest.folder / "vsock_52"};
    VsockPeer peer = guest.connect_to(server, outgoing);
    VsockGuest::Header header = guest.make_header(Operation::rw, outgoing);
    header.len = 3;
    guest.rings[1].put(0x100000, header);
    REQUIRE(guest.memory.write_bytes(machine::Gpa{0x100000 + 44},
                                     std::as_bytes(std::span{"abcdef", 6})));
    guest.rings[1].describe(10, {0x100000, 1, flag::next, 11});
    guest.rings[1].describe(11, {0x100001, 44, flag::next, 12});
    guest.rings[1].describe(12, {0x100000 + 45, 5, 0, 0});
    guest.rings[1].offer(10);
    guest.driver.notify(1);
    CHECK(peer.read() == "abc");
}

TEST_CASE("packets that belong to no connection are answered by RST") {
    VsockGuest guest;
    guest.start_and_listen();
    VsockGuest::Header header = guest.make_header(Operation::rw, outgoing);
    SUBCASE("data") {}
    SUBCASE("response") {
        header.op = Operation::response;
    }
    SUBCASE("shutdown") {
        header.op = Operation::shutdown;
    }
    SUBCASE("credit") {
        header.op = Operation::credit_request;
    }
    SUBCASE("unknown operation") {
        header.op = Operation{999};
    }
    SUBCASE("another type") {
        header.op = Operation::request;
        header.type = vsock::Type::seqpacket;
    }
    SUBCASE("no type") {
        header.op = Operation::request;
        header.type = vsock::Type{0};
    }
    guest.send(header);
    const VsockGuest::Header rst = guest.expect(Operation::rst).header;
    CHECK(rst.type == header.type);
    CHECK(rst.src_port == 52);
    CHECK(rst.dst_port == 1024);
    guest.send(Operation::rst, outgoing);
    guest.settle();
    CHECK(guest.heard.empty());  // RST is never answered
}

TEST_CASE("packets out of turn end their connection") {
    VsockGuest guest;
    guest.start_and_listen();
    const VsockServer server{guest.folder / "vsock_52"};
    VsockPeer peer = guest.connect_to(server, outgoing);
    SUBCASE("a request for a connection that is there") {
        guest.send(Operation::request, outgoing);
    }
    SUBCASE("a response that was not asked for") {
        guest.send(Operation::response, outgoing);
    }
    SUBCASE("no operation") {
        guest.send(Operation::invalid, outgoing);
    }
    SUBCASE("unknown operation") {
        guest.send(Operation{8}, outgoing);
    }
    SUBCASE("data after the end of data") {
        guest.send(Operation::shutdown, outgoing, vsock::shutdown_flag::send);
        guest.send_bytes(outgoing, "x");
    }
    SUBCASE("more at once than the buffer holds") {
        guest.send_bytes(outgoing, std::string(backend::VsockBuffer::capacity + 1, 'x'));
    }
    guest.expect(Operation::rst);
    CHECK(peer.is_at_end());
    CHECK(guest.device.connection_count() == 0);
    CHECK(guest.device.metrics().conns_killed == 1);
}

TEST_CASE("data before the guest has accepted ends the connection") {
    VsockGuest guest;
    guest.start_and_listen();
    VsockPeer peer{guest.folder / "vsock"};
    peer.write("CONNECT 9\n");
    const VsockPorts ports{guest.expect(Operation::request).header.src_port, 9};
    guest.send_bytes(ports, "early");
    guest.expect(Operation::rst);
    CHECK(peer.is_at_end());
    CHECK(peer.read().empty());
}

TEST_CASE("an answer to a question that the guest has not heard ends the connection") {
    VsockGuest guest;
    guest.start();
    VsockPeer peer{guest.folder / "vsock"};
    peer.write("CONNECT 9\n");
    guest.until([&] { return guest.device.connection_count() == 1; });
    guest.send(Operation::response, {1U << 30, 9});
    CHECK(peer.is_at_end());
    CHECK(guest.device.connection_count() == 0);
}

TEST_CASE("flags of shutdown that do not exist mean nothing") {
    VsockGuest guest;
    guest.start_and_listen();
    const VsockServer server{guest.folder / "vsock_52"};
    VsockPeer peer = guest.connect_to(server, outgoing);
    guest.send(Operation::shutdown, outgoing, 0xFFFF'FFFC);
    guest.send_bytes(outgoing, "x");
    CHECK(peer.read() == "x");
}

TEST_CASE("a receive buffer without room ends the device, which a reset brings back") {
    VsockGuest guest;
    guest.start();
    SUBCASE("for a byte of payload") {
        guest.rings[0].offer_buffer(0, 0x100000, 44, flag::write);
    }
    SUBCASE("for a header") {
        guest.rings[0].offer_buffer(0, 0x100000, 43, flag::write);
    }
    SUBCASE("for anything") {
        guest.rings[0].offer_buffer(0, 0x100000, 4096, 0);
    }
    guest.send(Operation::rw, outgoing);
    guest.settle();
    CHECK(needs_reset(guest));
    guest.start_and_listen();
    const VsockServer server{guest.folder / "vsock_52"};
    const VsockPeer peer = guest.connect_to(server, outgoing);
}

TEST_CASE("a malformed queue ends the device in the middle of a connection") {
    VsockGuest guest;
    guest.start_and_listen();
    const VsockServer server{guest.folder / "vsock_52"};
    VsockPeer peer = guest.connect_to(server, outgoing);
    SUBCASE("transmit") {
        guest.rings[1].offer(VsockGuest::ring_size);
        guest.driver.notify(1);
    }
    SUBCASE("receive") {
        guest.returns_buffers = false;
        guest.rings[0].set_avail_idx(static_cast<std::uint16_t>(guest.rings[0].used_idx() - 1));
        peer.write("x");
    }
    SUBCASE("event") {
        guest.rings[2].offer(VsockGuest::ring_size);
        guest.device.reset_connections();
    }
    guest.until([&] { return needs_reset(guest); });
    guest.until([&] { return peer.is_at_end(); });
    CHECK(guest.device.connection_count() == 0);
}

TEST_CASE("queues that the driver did not set up are empty") {
    VsockGuest guest;
    guest.driver.reset_to_driver();
    guest.driver.choose_features(abi::virtio::feature::version_1);
    guest.driver.set_status(Status::driver_ok);
    VsockPeer peer{guest.folder / "vsock"};
    peer.write("CONNECT 9\n");
    guest.settle();
    guest.driver.notify(2);
    CHECK(guest.is_alive());
}

TEST_CASE("payload is what lies behind the header, and no more than asked for") {
    std::array<std::byte, 100> memory{};
    const std::span all{memory};
    const std::array<std::span<std::byte>, 3> buffers{all.first(40), all.subspan(40, 10),
                                                      all.subspan(50)};
    VsockPayload payload;
    payload.assign(buffers, 1000);
    CHECK(payload.size_bytes() == 56);
    REQUIRE(payload.pieces().size() == 2);
    CHECK(payload.pieces()[0].iov_base == &memory[44]);
    payload.shorten(56);
    CHECK(payload.size_bytes() == 56);
    payload.shorten(7);
    CHECK(payload.pieces()[1].iov_len == 1);
    payload.shorten(6);
    CHECK(payload.pieces().size() == 1);
    payload.shorten(0);
    CHECK(payload.size_bytes() == 0);
    CHECK(payload.pieces().empty());
    payload.assign(buffers, 0);
    CHECK(payload.size_bytes() == 0);
}

}  // namespace
}  // namespace shoal::virtio
