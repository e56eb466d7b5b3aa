// Vsock from end to end: a driver in guest memory on one side, unix sockets on the other.
#include "devices/virtio/vsock.h"

#include <doctest/doctest.h>

#include <string>

#include "tests/unit/devices/host/recording_sink.h"
#include "tests/unit/devices/virtio/vsock_guest.h"

namespace shoal::virtio {
namespace {

namespace vsock = abi::virtio::vsock;
using vsock::Operation;
constexpr VsockPorts outgoing{52, 1024};

TEST_CASE("the guest's cid may be changed before there is a driver, and where it listens stays") {
    VsockGuest guest;
    CHECK_THROWS_AS(guest.device.set_guest_cid(2), std::invalid_argument);
    CHECK(guest.driver.read_at<std::uint64_t>(0x100) == VsockGuest::cid);
    guest.device.set_guest_cid(77);
    CHECK(guest.driver.read_at<std::uint64_t>(0x100) == 77);
    CHECK(guest.device.is_at_its_path());
    std::filesystem::remove(guest.folder / "vsock");
    CHECK_FALSE(guest.device.is_at_its_path());
}

TEST_CASE("the device says what it is") {
    VsockGuest guest;
    CHECK(guest.driver.read(TestDriver::Register::device_id) == 19);
    CHECK(guest.driver.read_at<std::uint64_t>(0x100) == VsockGuest::cid);
    CHECK(guest.driver.read_at<std::uint32_t>(0x104) == 0);
    CHECK(guest.driver.read_at<std::uint32_t>(0x108) == 0);
    CHECK((guest.device.features() & vsock::feature_stream) != 0);
}

TEST_CASE("a host program connects, both sides talk, and the program closes") {
    VsockGuest guest;
    guest.start_and_listen();
    VsockPorts ports;
    VsockPeer peer = guest.accept_from_host(1234, ports);
    CHECK(ports.host >= 1U << 30);
    peer.write("ping");
    CHECK(guest.expect(Operation::rw).payload == "ping");
    guest.send_bytes(ports, "pong");
    CHECK(peer.read() == "pong");

    peer.write("last words");
    peer.close();
    CHECK(guest.expect(Operation::rw).payload == "last words");
    CHECK(guest.expect(Operation::shutdown).header.flags == vsock::shutdown_flag::both);
    guest.send(Operation::rst, ports);
    CHECK(guest.device.connection_count() == 0);
}

TEST_CASE("what a host program sends together with its line is for the guest") {
    VsockGuest guest;
    guest.start_and_listen();
    VsockPeer peer{guest.folder / "vsock"};
    peer.write("CONNECT 7\nhello");
    peer.shutdown(SHUT_WR);
    const VsockPorts ports{guest.expect(Operation::request).header.src_port, 7};
    guest.send(Operation::response, ports);
    CHECK(guest.expect(Operation::rw).payload == "hello");
    CHECK(guest.expect(Operation::shutdown).header.flags == vsock::shutdown_flag::send);
    guest.send_bytes(ports, "still here");
    CHECK(peer.read() == "OK " + std::to_string(ports.host) + "\nstill here");
}

TEST_CASE("the guest connects, both sides talk, and the guest closes") {
    VsockGuest guest;
    guest.start_and_listen();
    const VsockServer server{guest.folder / "vsock_52"};
    guest.send(Operation::request, outgoing);
    const VsockGuest::Header response = guest.expect(Operation::response).header;
    CHECK(response.src_port == 52);
    CHECK(response.dst_port == 1024);
    CHECK(response.buf_alloc == backend::VsockBuffer::capacity);
    VsockPeer peer = server.accept();
    guest.send_bytes(outgoing, "ping");
    CHECK(peer.read() == "ping");
    peer.write("pong");
    CHECK(guest.expect(Operation::rw).payload == "pong");

    guest.send_bytes(outgoing, "last words");
    guest.send(Operation::shutdown, outgoing, vsock::shutdown_flag::both);
    guest.expect(Operation::rst);
    CHECK(peer.read() == "last words");
    CHECK(peer.is_at_end());
    CHECK(guest.device.connection_count() == 0);
}

TEST_CASE("each side may stop sending and still receive") {
    VsockGuest guest;
    guest.start_and_listen();
    const VsockServer server{guest.folder / "vsock_52"};
    VsockPeer peer = guest.connect_to(server, outgoing);
    SUBCASE("the guest first") {
        guest.send_bytes(outgoing, "request");
        guest.send(Operation::shutdown, outgoing, vsock::shutdown_flag::send);
        CHECK(peer.read() == "request");
        CHECK(peer.is_at_end());
        peer.write("answer");
        CHECK(guest.expect(Operation::rw).payload == "answer");
        peer.close();
        CHECK(guest.expect(Operation::shutdown).header.flags == vsock::shutdown_flag::both);
    }
    SUBCASE("the host first") {
        peer.write("request");
        peer.shutdown(SHUT_WR);
        CHECK(guest.expect(Operation::rw).payload == "request");
        CHECK(guest.expect(Operation::shutdown).header.flags == vsock::shutdown_flag::send);
        guest.send_bytes(outgoing, "answer");
        CHECK(peer.read() == "answer");
        CHECK_FALSE(peer.is_at_end());
    }
    SUBCASE("the guest stops receiving") {
        guest.send(Operation::shutdown, outgoing, vsock::shutdown_flag::receive);
        CHECK(peer.write_some("deaf") == 0);
        guest.send_bytes(outgoing, "but not dumb");
        CHECK(peer.read() == "but not dumb");
        peer.close();
        CHECK(guest.expect(Operation::shutdown).header.flags == vsock::shutdown_flag::both);
    }
    SUBCASE("the host stops receiving") {
        peer.shutdown(SHUT_RD);
        guest.settle();
        guest.send_bytes(outgoing, "for nobody");
        CHECK(guest.expect(Operation::shutdown).header.flags == vsock::shutdown_flag::receive);
        peer.write("but not dumb");
        CHECK(guest.expect(Operation::rw).payload == "but not dumb");
    }
    guest.send(Operation::shutdown, outgoing, vsock::shutdown_flag::both);
    guest.expect(Operation::rst);
    CHECK(guest.device.connection_count() == 0);
}

TEST_CASE("RST from the guest closes the host's socket") {
    VsockGuest guest;
    guest.start_and_listen();
    const VsockServer server{guest.folder / "vsock_52"};
    VsockPeer peer = guest.connect_to(server, outgoing);
    guest.send(Operation::rst, outgoing);
    CHECK(peer.is_at_end());
    CHECK(guest.device.connection_count() == 0);
    guest.settle();
    CHECK(guest.heard.empty());
}

TEST_CASE("a connection that nobody accepts is refused") {
    VsockGuest guest;
    guest.start_and_listen();
    SUBCASE("no program listens") {
        guest.send(Operation::request, outgoing);
        const VsockGuest::Header rst = guest.expect(Operation::rst).header;
        CHECK(rst.src_port == 52);
        CHECK(rst.dst_port == 1024);
        CHECK(guest.device.metrics().conns_refused == 1);
    }
    SUBCASE("the guest does not listen") {
        VsockPeer peer{guest.folder / "vsock"};
        peer.write("CONNECT 9\n");
        const VsockGuest::Header request = guest.expect(Operation::request).header;
        guest.send(Operation::rst, {request.src_port, 9});
        CHECK(peer.is_at_end());
        CHECK(peer.read().empty());
    }
    CHECK(guest.device.connection_count() == 0);
}

TEST_CASE("a guest that does not answer is given up") {
    VsockGuest guest{{.max_connections = 16, .tick_ms = 5}};
    guest.start_and_listen();
    SUBCASE("the request") {
        VsockPeer peer{guest.folder / "vsock"};
        peer.write("CONNECT 9\n");
        guest.expect(Operation::request);
        guest.expect(Operation::rst);
        CHECK(peer.is_at_end());
    }
    SUBCASE("the end") {
        VsockPorts ports;
        VsockPeer peer = guest.accept_from_host(9, ports);
        peer.close();
        guest.expect(Operation::shutdown);
        guest.expect(Operation::rst);
    }
    CHECK(guest.device.metrics().conns_killed == 1);
    CHECK(guest.device.connection_count() == 0);
}

TEST_CASE("a host program that does not say what it wants is dropped") {
    VsockGuest guest{{.max_connections = 16, .tick_ms = 5}};
    guest.start_and_listen();
    VsockPeer peer{guest.folder / "vsock"};
    SUBCASE("it is silent") {}
    SUBCASE("it stops half-way") {
        peer.write("CONNECT 12");
    }
    SUBCASE("it says something else") {
        peer.write("GET / HTTP/1.1\n");
    }
    SUBCASE("it does not end its line") {
        peer.write("CONNECT 00000000000000000000000000000000000000000000");
    }
    SUBCASE("it leaves") {
        peer.shutdown(SHUT_WR);
    }
    guest.until([&] { return peer.is_at_end(); });
    CHECK(guest.heard.empty());
    CHECK(guest.device.metrics().conns_added == 0);
}

TEST_CASE("a host program that leaves before the guest answered is forgotten") {
    VsockGuest guest;
    guest.start();
    VsockPeer peer{guest.folder / "vsock"};
    peer.write("CONNECT 9\n");
    SUBCASE("before the guest heard of it") {
        guest.until([&] { return guest.device.connection_count() == 1; });
        peer.close();
        guest.until([&] { return guest.device.connection_count() == 0; });
        guest.give_buffers(1);
        guest.settle();
        CHECK(guest.heard.empty());
    }
    SUBCASE("after the guest heard of it") {
        guest.give_buffers(2);
        guest.expect(Operation::request);
        peer.close();
        guest.expect(Operation::rst);
        CHECK(guest.device.connection_count() == 0);
    }
}

TEST_CASE("without a driver host programs are turned away") {
    VsockGuest guest;
    VsockPeer peer{guest.folder / "vsock"};
    peer.write("CONNECT 9\n");
    guest.until([&] { return peer.is_at_end(); });
    CHECK(guest.device.metrics().conns_refused == 1);
}

TEST_CASE("there is a limit to connections, in both directions") {
    VsockGuest guest{{.max_connections = 2, .tick_ms = 1000}};
    guest.start_and_listen();
    const VsockServer server{guest.folder / "vsock_52"};
    VsockPorts ports;
    const VsockPeer first = guest.accept_from_host(9, ports);
    const VsockPeer second = guest.connect_to(server, outgoing);
    guest.send(Operation::request, {52, 1025});
    guest.expect(Operation::rst);
    VsockPeer third{guest.folder / "vsock"};
    third.write("CONNECT 9\n");
    guest.until([&] { return third.is_at_end(); });
    CHECK(guest.device.metrics().conns_refused == 2);
    guest.send(Operation::rst, ports);
    VsockPeer fourth = guest.accept_from_host(9, ports);
}

TEST_CASE("packets, bytes and connections are counted") {
    VsockGuest guest;
    guest.start_and_listen();
    VsockPorts ports;
    VsockPeer peer = guest.accept_from_host(9, ports);
    peer.write("12345");
    guest.expect(Operation::rw);
    guest.send_bytes(ports, "123");
    guest.send(Operation::rst, ports);
    host::RecordingSink counters;
    guest.device.report(counters);
    CHECK(counters.values["rx_bytes_count"] == 5);
    CHECK(counters.values["tx_bytes_count"] == 3);
    CHECK(counters.values["rx_packets_count"] == 2);
    CHECK(counters.values["tx_packets_count"] == 3);
    CHECK(counters.values["conns_added"] == 1);
    CHECK(counters.values["conns_removed"] == 1);
    CHECK(counters.values["conns_killed"] == 0);
    CHECK(counters.values["rx_queue_event_count"] != 0);
    CHECK(counters.values["tx_queue_event_count"] != 0);
}

}  // namespace
}  // namespace shoal::virtio
