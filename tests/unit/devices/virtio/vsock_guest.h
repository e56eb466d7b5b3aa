// VsockGuest: a driver of a vsock device for tests, and the event loop beside it. It sends what it
// is told to, right or wrong, and keeps what it hears.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "devices/abi/virtio_vsock.h"
#include "devices/host/reactor.h"
#include "devices/virtio/vsock.h"
#include "tests/unit/devices/virtio/counting_irq.h"
#include "tests/unit/devices/virtio/test_driver.h"
#include "tests/unit/devices/virtio/test_ring.h"
#include "tests/unit/devices/virtio/vsock_peer.h"

namespace shoal::virtio {

struct HeardPacket {
    abi::virtio::vsock::Header header;
    std::string payload;
};

class VsockGuest {
public:
    using Header = abi::virtio::vsock::Header;
    using Operation = abi::virtio::vsock::Operation;

    static constexpr std::uint64_t cid = 3;
    static constexpr std::uint16_t ring_size = 64;
    static constexpr std::uint32_t rx_buffer_bytes = 4096 + 44;
    static constexpr std::uint32_t default_buf_alloc = 256 * 1024;

    explicit VsockGuest(const VsockLimits& limits = {})
        : device{{cid, folder / "vsock"}, reactor, limits} {}

    void start() {
        for (std::uint32_t idx = 0; idx < rings.size(); ++idx) {
            rings[idx] = TestRing{memory, 0x10000 + 0x2000 * idx, ring_size};
            rings[idx].set_avail_idx(0);
            rings[idx].put(0x10000 + 0x2000 * idx + 0x1400, std::uint32_t{0});  // used
        }
        rx_seen_ = tx_sent_ = 0;
        notified_ = {};
        driver.reset_to_driver();
        driver.choose_features(features);
        for (std::uint32_t idx = 0; idx < rings.size(); ++idx) {
            driver.set_up_queue(idx, rings[idx].layout());
        }
        driver.set_status(Status::driver_ok);
        REQUIRE(driver.status() == static_cast<std::uint32_t>(Status::driver_ok));
        turn();
    }
    // Started, and with receive buffers that are given again once they are used.
    void start_and_listen() {
        start();
        give_buffers(ring_size);
        returns_buffers = true;
    }
    // Its rings are new, and empty.
    void forget_queues() {
        rx_seen_ = rings[0].used_idx();
        tx_sent_ = rings[1].avail_idx();
        notified_ = {rings[0].avail_idx(), tx_sent_, rings[2].avail_idx()};
    }
    void give_buffers(std::uint16_t count) {
        for (std::uint16_t i = 0; i < count; ++i) {
            rings[0].offer_buffer(i, rx_at(i), rx_buffer_bytes,
                                  abi::virtio::descriptor_flag::write);
        }
        notify(0);
        turn();
    }
    // If the device wants to know.
    void notify(std::uint32_t queue) {
        const std::uint16_t now = rings[queue].avail_idx();
        const std::uint16_t before = std::exchange(notified_[queue], now);
        const bool wanted = (features & abi::virtio::feature::event_idx) != 0
                                ? abi::virtio::passes_event(rings[queue].avail_event(), now, before)
                                : (rings[queue].used_flags() & abi::virtio::used_no_notify) == 0;
        if (wanted) {
            driver.write(TestDriver::Register::queue_notify, queue);
        }
    }

    // One turn of the event loop.
    void turn(int timeout_ms = 0) {
        const bool served = driver.serve_notification();
        reactor.dispatch(served ? 0 : timeout_ms);
        hear();
    }
    // Turns until it is so, but not for ever.
    void until(const std::function<bool()>& is_so) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
        while (!is_so()) {
            REQUIRE(std::chrono::steady_clock::now() < deadline);
            turn(1);
        }
    }
    // Until nothing happens any more.
    void settle() {
        while (driver.serve_notification() || reactor.dispatch(5)) {
            hear();
        }
        hear();
    }

    [[nodiscard]] Header make_header(Operation op, const VsockPorts& ports) const {
        Header header{};
        header.src_cid = abi::virtio::vsock::Cid::of(cid);
        header.dst_cid = abi::virtio::vsock::Cid::of(abi::virtio::vsock::host_cid);
        header.src_port = ports.guest;
        header.dst_port = ports.host;
        header.type = abi::virtio::vsock::Type::stream;
        header.op = op;
        header.buf_alloc = buf_alloc;
        header.fwd_cnt = fwd_cnt;
        return header;
    }
    void send(Operation op, const VsockPorts& ports, std::uint32_t flags = 0) {
        Header header = make_header(op, ports);
        header.flags = flags;
        send(header);
    }
    void send_bytes(const VsockPorts& ports, std::string_view bytes) {
        Header header = make_header(Operation::rw, ports);
        header.len = static_cast<std::uint32_t>(bytes.size());
        send(header, bytes);
    }
    // Header and payload in two descriptors. Waits until the device took it.
    void send(const Header& header, std::string_view payload = {}) {
        post(header, payload);
        if (is_alive()) {
            until([this] { return rings[1].used_idx() == tx_sent_ || !is_alive(); });
        }
    }
    // Does not wait.
    void post(const Header& header, std::string_view payload = {}) {
        const auto slot = static_cast<std::uint16_t>(tx_sent_ % (ring_size / 2));
        const std::uint64_t at = 0x100000 + 0x11000ULL * slot;
        const auto head = static_cast<std::uint16_t>(2 * slot);
        rings[1].put(at, header);
        const bool has_payload = !payload.empty();
        rings[1].describe(head, {at, sizeof header, has_payload, std::uint16_t(head + 1)});
        if (has_payload) {
            REQUIRE(
                memory.write_bytes(machine::Gpa{at + 0x1000}, std::as_bytes(std::span{payload})));
            rings[1].describe(std::uint16_t(head + 1),
                              {at + 0x1000, std::uint32_t(payload.size()), 0, 0});
        }
        rings[1].offer(head);
        ++tx_sent_;
        notify(1);
    }
    [[nodiscard]] bool is_alive() const {
        return driver.status() == static_cast<std::uint32_t>(Status::driver_ok);
    }

    // The next packet that was heard, after waiting for it.
    HeardPacket take() {
        until([this] { return !heard.empty(); });
        HeardPacket first = heard.front();
        heard.pop_front();
        return first;
    }
    // The next packet is this one.
    HeardPacket expect(Operation op) {
        HeardPacket packet = take();
        CHECK(packet.header.op == op);
        CHECK(packet.header.src_cid.value() == abi::virtio::vsock::host_cid);
        CHECK(packet.header.dst_cid.value() == cid);
        return packet;
    }

    // A host program's connection to this port of the guest, accepted by the guest.
    VsockPeer accept_from_host(std::uint32_t guest_port, VsockPorts& ports) {
        VsockPeer peer{folder / "vsock"};
        peer.write("CONNECT " + std::to_string(guest_port) + "\n");
        const HeardPacket request = expect(Operation::request);
        CHECK(request.header.dst_port == guest_port);
        ports = {request.header.src_port, guest_port};
        send(Operation::response, ports);
        std::string line;
        until([&] { return !(line = peer.read(64)).empty(); });
        CHECK(line == "OK " + std::to_string(ports.host) + "\n");
        return peer;
    }
    // The guest's connection to a host program.
    VsockPeer connect_to(const VsockServer& server, const VsockPorts& ports) {
        send(Operation::request, ports);
        expect(Operation::response);
        return server.accept();
    }

    TemporaryFolder folder;
    host::Reactor reactor;
    machine::GuestMemory memory{8 << 20};
    Vsock device;
    CountingIrq irq;
    MmioTransport transport{device, memory, irq};
    TestDriver driver{transport};
    std::array<TestRing, 3> rings{TestRing{memory, 0x10000, ring_size},
                                  TestRing{memory, 0x12000, ring_size},
                                  TestRing{memory, 0x14000, ring_size}};
    std::deque<HeardPacket> heard;
    std::uint32_t buf_alloc = default_buf_alloc;  // as all packets say
    std::uint32_t fwd_cnt = 0;
    bool returns_buffers = false;
    std::uint64_t features = abi::virtio::feature::version_1;  // of the next start()

private:
    static constexpr std::uint64_t rx_at(std::uint16_t idx) { return 0x40000 + 0x2000ULL * idx; }

    void hear() {
        bool returned = false;
        for (; rx_seen_ != rings[0].used_idx(); ++rx_seen_) {
            const auto used = rings[0].used(rx_seen_);
            const auto idx = static_cast<std::uint16_t>(used.id);
            if (used.size_bytes >= sizeof(Header)) {
                keep(rx_at(idx), used.size_bytes);
            }
            if (returns_buffers) {
                rings[0].offer(idx);
                returned = true;
            }
        }
        if (returned) {
            notify(0);
        }
    }
    void keep(std::uint64_t at, std::uint32_t size_bytes) {
        HeardPacket packet{rings[0].get<Header>(at), {}};
        CHECK(packet.header.len == size_bytes - sizeof(Header));
        const auto bytes =
            memory.slice(machine::Gpa{at + sizeof(Header)}, packet.header.len).value();
        packet.payload.resize(bytes.size());
        std::memcpy(packet.payload.data(), bytes.data(), bytes.size());
        heard.push_back(std::move(packet));
    }

    std::uint16_t rx_seen_ = 0;
    std::uint16_t tx_sent_ = 0;
    std::array<std::uint16_t, 3> notified_{};  // avail index at the last notify()
};

}  // namespace shoal::virtio
