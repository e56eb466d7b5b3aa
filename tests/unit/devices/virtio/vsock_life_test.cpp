// A vsock device's life: resets, snapshots, configuration.
#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "devices/virtio/vsock.h"
#include "tests/unit/devices/virtio/vsock_guest.h"

namespace shoal::virtio {
namespace {

namespace vsock = abi::virtio::vsock;
using vsock::Operation;
constexpr VsockPorts outgoing{52, 1024};

TEST_CASE("a reset in mid-flight closes everything and leaves guest memory alone") {
    VsockGuest guest;
    guest.start_and_listen();
    const VsockServer server{guest.folder / "vsock_52"};
    VsockPeer peer = guest.connect_to(server, outgoing);
    VsockPorts ports;
    VsockPeer client = guest.accept_from_host(9, ports);
    peer.write("on its way");
    client.write("on its way");
    guest.returns_buffers = false;
    SUBCASE("by the event loop's thread") {
        guest.driver.set_status(Status::reset);
    }
    SUBCASE("by another thread") {
        std::jthread{[&] { guest.driver.set_status(Status::reset); }}.join();
    }
    const auto used_before = guest.rings[0].used_idx();
    guest.settle();
    CHECK(guest.rings[0].used_idx() == used_before);
    guest.until([&] { return peer.is_at_end() && client.is_at_end(); });
    CHECK(guest.device.connection_count() == 0);

    guest.heard.clear();
    guest.start_and_listen();
    VsockPeer again = guest.connect_to(server, outgoing);
    again.write("works");
    CHECK(guest.expect(Operation::rw).payload == "works");
}

TEST_CASE("a vCPU may reset the device while the event loop moves bytes") {
    VsockGuest guest;
    const VsockServer server{guest.folder / "vsock_52"};
    for (int round = 0; round < 20; ++round) {
        guest.start_and_listen();
        std::vector<VsockPeer> peers;
        for (std::uint32_t port = 0; port < 8; ++port) {
            peers.push_back(guest.connect_to(server, {52, port}));
        }
        {
            const std::jthread vcpu{[&] { guest.driver.set_status(Status::reset); }};
            for (const VsockPeer& peer : peers) {
                peer.write_some("to whoever is there");
                guest.turn();
            }
        }
        guest.until([&] { return peers.front().is_at_end() && peers.back().is_at_end(); });
        CHECK(guest.device.connection_count() == 0);
        guest.heard.clear();
    }
}

TEST_CASE("before a snapshot the guest is told that its connections are gone") {
    VsockGuest guest;
    guest.start_and_listen();
    const VsockServer server{guest.folder / "vsock_52"};
    VsockPeer peer = guest.connect_to(server, outgoing);
    SUBCASE("by a buffer that is there") {
        guest.rings[vsock::event_queue].offer_buffer(0, 0x3F000, 4,
                                                     abi::virtio::descriptor_flag::write);
        guest.device.reset_connections();
    }
    SUBCASE("by a buffer that comes later") {
        guest.device.reset_connections();
        guest.settle();
        CHECK(guest.rings[vsock::event_queue].used_idx() == 0);
        guest.rings[vsock::event_queue].offer_buffer(0, 0x3F000, 4,
                                                     abi::virtio::descriptor_flag::write);
        guest.driver.notify(vsock::event_queue);
    }
    CHECK(guest.rings[vsock::event_queue].used_idx() == 1);
    CHECK(guest.rings[vsock::event_queue].used(0).size_bytes == 4);
    guest.until([&] { return peer.is_at_end(); });
    CHECK(guest.device.connection_count() == 0);
    guest.settle();
    guest.send_bytes(outgoing, "to nobody");
    guest.expect(Operation::rst);
}

TEST_CASE("what is saved makes an equal device") {
    const TemporaryFolder folder;
    host::Reactor reactor;
    std::optional<Vsock> before{std::in_place, VsockConfig{77, folder / "v"}, reactor};
    const VsockState state = before->save();
    CHECK(state.config.guest_cid == 77);
    CHECK(state.config.uds_path == folder / "v");
    before.reset();
    Vsock after{state.config, reactor};
    after.restore(state);
    CHECK(after.save() == state);
}

TEST_CASE("a bad configuration is refused in one sentence") {
    const TemporaryFolder folder;
    host::Reactor reactor;
    const std::string path = folder / "vsock";
    SUBCASE("reserved cid") {
        CHECK_THROWS_WITH((Vsock{{2, path}, reactor}),
                          "vsock guest_cid 2 is reserved: 3 to 4294967294 are possible");
        CHECK_THROWS((Vsock{{0xFFFF'FFFF, path}, reactor}));
    }
    SUBCASE("a path that is in use") {
        const VsockServer other{path};
        const std::string text = "vsock uds_path " + path + ": Address already in use";
        CHECK_THROWS_WITH((Vsock{{3, path}, reactor}), text.c_str());
        CHECK(std::filesystem::exists(path));
    }
    SUBCASE("no path") {
        CHECK_THROWS((Vsock{{3, ""}, reactor}));
    }
}

}  // namespace
TEST_CASE("connections outlive a queue that is stopped and set up anew") {
    VsockGuest guest;
    guest.start_and_listen();
    VsockPorts ports{};
    VsockPeer peer = guest.accept_from_host(80, ports);
    const auto restart = [&guest](std::uint32_t idx) {
        guest.rings[idx] = TestRing{guest.memory, 0x18000 + 0x2000 * idx, VsockGuest::ring_size};
        guest.driver.set_up_queue(idx, guest.rings[idx].layout());
        guest.forget_queues();
    };
    SUBCASE("the receive queue") {
        CHECK(guest.driver.stop_queue(0));
        peer.write("late");
        guest.settle();
        CHECK(guest.heard.empty());
        restart(0);
        guest.give_buffers(8);
        CHECK(guest.expect(VsockGuest::Operation::rw).payload == "late");
    }
    SUBCASE("the transmit queue") {
        CHECK(guest.driver.stop_queue(1));
        guest.post(guest.make_header(VsockGuest::Operation::shutdown, ports));
        guest.settle();
        CHECK(guest.rings[1].used_idx() == 1);
        restart(1);
        guest.send_bytes(ports, "early");
        std::string text;
        guest.until([&] { return !(text = peer.read(64)).empty(); });
        CHECK(text == "early");
    }
    SUBCASE("the event queue") {
        CHECK(guest.driver.stop_queue(2));
        guest.rings[2].offer_buffer(0, 0x30000, 8, abi::virtio::descriptor_flag::write);
        guest.device.reset_connections();
        guest.settle();
        CHECK(guest.rings[2].used_idx() == 0);
        restart(2);
        guest.rings[2].offer_buffer(0, 0x30000, 8, abi::virtio::descriptor_flag::write);
        guest.driver.write(TestDriver::Register::queue_notify, 2);
        guest.settle();
        CHECK(guest.rings[2].used_idx() == 1);
    }
    CHECK(guest.is_alive());
}

TEST_CASE("a receive queue that is reset takes along the chain that is at hand") {
    VsockGuest guest;
    guest.features |= abi::virtio::feature::ring_reset;
    guest.buf_alloc = 4;
    guest.start_and_listen();
    VsockPorts ports{};
    VsockPeer peer = guest.accept_from_host(80, ports);
    peer.write("0123");
    CHECK(guest.expect(Operation::rw).payload == "0123");
    guest.settle();
    // It fitted exactly: with new room the device takes a chain, and finds nothing to put there.
    guest.fwd_cnt = 4;
    guest.send(Operation::credit_update, ports);
    guest.settle();
    guest.heard.clear();
    guest.returns_buffers = false;

    guest.driver.write(TestDriver::Register::queue_select, 0);
    guest.driver.write(TestDriver::Register::queue_reset, 1);
    CHECK(guest.driver.read(TestDriver::Register::queue_ready) == 0);
    guest.rings[0] = TestRing{guest.memory, 0x18000, VsockGuest::ring_size};
    guest.driver.set_up_queue(0, guest.rings[0].layout());
    guest.forget_queues();
    guest.give_buffers(1);
    peer.write("4567");
    CHECK(guest.expect(Operation::rw).payload == "4567");
    CHECK(guest.rings[0].used(0).id == 0);
    CHECK(guest.is_alive());
}

}  // namespace shoal::virtio
