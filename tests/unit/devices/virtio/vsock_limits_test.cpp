// Vsock at its limits: no receive buffers, many connections, no descriptors.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/unit/devices/virtio/vsock_guest.h"

namespace shoal::virtio {
namespace {

namespace vsock = abi::virtio::vsock;
using vsock::Operation;
constexpr VsockPorts outgoing{52, 1024};

TEST_CASE("without receive buffers the host waits, and nothing turns in circles") {
    VsockGuest guest;
    guest.start();
    const VsockServer server{guest.folder / "vsock_52"};
    guest.give_buffers(1);
    VsockPeer peer = guest.connect_to(server, outgoing);
    peer.write("patience");
    guest.settle();
    CHECK(guest.heard.empty());
    CHECK_FALSE(guest.reactor.dispatch(0));
    CHECK_FALSE(guest.driver.serve_notification());
    guest.give_buffers(1);
    CHECK(guest.expect(Operation::rw).payload == "patience");
}

TEST_CASE("connections take turns") {
    VsockGuest guest;
    guest.start();
    const VsockServer server{guest.folder / "vsock_52"};
    guest.give_buffers(2);
    VsockPeer first = guest.connect_to(server, {52, 1});
    VsockPeer second = guest.connect_to(server, {52, 2});
    first.write(std::string(50'000, '1'));
    second.write(std::string(50'000, '2'));
    guest.settle();
    guest.give_buffers(20);
    guest.settle();
    REQUIRE(guest.heard.size() == 20);
    int of_first = 0;
    for (const HeardPacket& packet : guest.heard) {
        of_first += packet.header.dst_port == 1 ? 1 : 0;
    }
    CHECK(of_first == 10);
}

TEST_CASE("a guest that takes no RSTs finds its packets not taken, and loses none") {
    VsockGuest guest;
    guest.start();
    constexpr std::uint32_t count = VsockConnections::max_refusals + 20;
    std::uint32_t sent = 0;
    guest.until([&] {
        while (sent < count && sent - guest.rings[1].used_idx() < 16) {
            guest.post(guest.make_header(Operation::rw, {1, sent++}));
        }
        guest.turn();
        return guest.rings[1].used_idx() == VsockConnections::max_refusals;
    });
    for (int extra = 0; extra < 2; ++extra) {
        guest.post(guest.make_header(Operation::rw, {1, sent++}));
    }
    guest.settle();
    CHECK(guest.rings[1].used_idx() == VsockConnections::max_refusals);
    guest.give_buffers(1);
    guest.settle();
    CHECK(guest.rings[1].used_idx() == VsockConnections::max_refusals + 1);
    guest.returns_buffers = true;
    guest.give_buffers(VsockGuest::ring_size);
    guest.until([&] {
        while (sent < count && sent - guest.rings[1].used_idx() < 16) {
            guest.post(guest.make_header(Operation::rw, {1, sent++}));
        }
        return guest.heard.size() == count;
    });
}

TEST_CASE("a thousand connections at once in each direction") {
    rlimit files{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
    if (files.rlim_max < 5000) {
        MESSAGE("skipped: the hard limit of open files is " << files.rlim_max);
        return;
    }
    const rlimit more{files.rlim_max, files.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &more) == 0);
    {
        constexpr std::uint32_t count = 1000;
        VsockGuest guest;
        guest.start_and_listen();
        const VsockServer server{guest.folder / "vsock_52"};
        std::vector<VsockPeer> peers;
        for (std::uint32_t i = 0; i < count; ++i) {
            peers.push_back(guest.connect_to(server, {52, i}));
            VsockPorts ports;
            peers.push_back(guest.accept_from_host(i, ports));
        }
        CHECK(guest.device.connection_count() == 2 * count);
        for (std::uint32_t i = 0; i < 2 * count; ++i) {
            peers[i].write("number " + std::to_string(i));
        }
        guest.until([&] { return guest.heard.size() == 2 * count; });
        std::vector<bool> seen(2 * count);
        for (const HeardPacket& packet : guest.heard) {
            const std::uint32_t idx =
                2 * packet.header.dst_port + (packet.header.src_port == 52 ? 0 : 1);
            CHECK(packet.payload == "number " + std::to_string(idx));
            seen[idx] = true;
        }
        CHECK(std::ranges::count(seen, true) == 2 * count);
        guest.driver.set_status(Status::reset);
        guest.until([&] { return peers.front().is_at_end() && peers.back().is_at_end(); });
    }
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &files) == 0);
}

TEST_CASE("without descriptors connections are refused, and host programs wait") {
    VsockGuest guest{{.max_connections = 4096, .tick_ms = 50}};
    guest.start_and_listen();
    const VsockServer server{guest.folder / "vsock_52"};
    VsockPeer client{guest.folder / "vsock"};
    client.write("CONNECT 9\n");
    rlimit files{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
    const rlimit none{3, files.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    guest.send(Operation::request, outgoing);
    guest.expect(Operation::rst);
    guest.settle();
    CHECK(guest.heard.empty());
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &files) == 0);
    guest.expect(Operation::request);
}

}  // namespace
}  // namespace shoal::virtio
