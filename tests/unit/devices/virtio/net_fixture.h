// NetFixture: a network device from end to end for tests: a driver in guest memory on one side, a
// socket that stands for the TAP on the other.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "devices/abi/virtio_net.h"
#include "devices/host/os_error.h"
#include "devices/host/reactor.h"
#include "devices/virtio/net.h"
#include "tests/unit/devices/virtio/counting_irq.h"
#include "tests/unit/devices/virtio/test_driver.h"
#include "tests/unit/devices/virtio/test_ring.h"

namespace shoal::virtio {

struct NetFixture {
    static constexpr std::uint16_t size = 64;
    static constexpr std::size_t header = sizeof(abi::virtio::net::Header);
    static constexpr std::uint64_t receive_area = 0x40'0000;
    static constexpr std::uint64_t transmit_area = 0x20'0000;
    static constexpr std::uint64_t area_bytes = 0x2'0000;  // for one chain
    static constexpr std::uint64_t mergeable =
        abi::virtio::feature::version_1 | abi::virtio::net::feature::mrg_rxbuf;
    static constexpr std::uint64_t plain = abi::virtio::feature::version_1;

    explicit NetFixture(const NetConfig& config = {}) : NetFixture{config, make_pair()} {}

    // Resets the device and brings it up with fresh rings.
    void start(std::uint64_t features = mergeable) {
        prepare(features, size);
        begin();
        serve();
        irq.take();
    }
    // The same in two steps, for what shall be in the rings before.
    void prepare(std::uint64_t features, std::uint16_t ring_size) {
        rx = TestRing{memory, next_ring_, ring_size};
        tx = TestRing{memory, next_ring_ + 0x2000, ring_size};
        next_ring_ += 0x4000;
        seen_ = 0;
        driver.reset_to_driver();
        driver.choose_features(features);
        driver.set_up_queue(0, rx.layout());
        driver.set_up_queue(1, tx.layout());
    }
    // That one alone, once it is stopped.
    void restart_receive_queue() {
        rx = TestRing{memory, next_ring_, size};
        next_ring_ += 0x4000;
        seen_ = 0;
        driver.set_up_queue(0, rx.layout());
    }
    void begin() {
        driver.set_status(Status::driver_ok);
        REQUIRE(driver.status() == static_cast<std::uint32_t>(Status::driver_ok));
    }
    // What the event loop does until nothing is left to do.
    void serve() {
        while (driver.serve_notification() || reactor.dispatch(0)) {
        }
    }
    void notify(std::uint32_t queue) {
        driver.write(TestDriver::Register::queue_notify, queue);
        serve();
    }
    bool needs_reset() const {
        return (driver.status() & abi::virtio::status::device_needs_reset) != 0;
    }

    // Chain `idx` of the receive queue: one buffer.
    void give_buffer(std::uint16_t idx, std::uint32_t size_bytes) {
        rx.offer_buffer(idx, receive_area + area_bytes * idx, size_bytes,
                        abi::virtio::descriptor_flag::write);
    }
    void give_buffers(std::uint16_t count, std::uint32_t size_bytes) {
        for (std::uint16_t idx = 0; idx < count; ++idx) {
            give_buffer(idx, size_bytes);
        }
        notify(0);
    }

    // A packet from the host, with this header's flags; `frame` is what follows the header.
    void host_sends(std::string_view frame, std::uint8_t flags = 0) {
        std::string packet(header, '\0');
        packet[0] = static_cast<char>(flags);
        packet[10] = packet[11] = '\x5A';  // num_buffers is the device's
        packet += frame;
        REQUIRE(::send(peer.get(), packet.data(), packet.size(), MSG_DONTWAIT) ==
                static_cast<ssize_t>(packet.size()));
    }
    // The next packet that the host got, header included; "" when there is none.
    std::string host_receives() const {
        std::string packet(1 << 17, '\0');
        const ssize_t count = ::recv(peer.get(), packet.data(), packet.size(), MSG_DONTWAIT);
        packet.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        return packet;
    }

    std::string guest_bytes(std::uint64_t at, std::size_t size_bytes) const {
        const auto bytes = memory.slice(machine::Gpa{at}, size_bytes).value();
        std::string text(bytes.size(), '\0');
        std::memcpy(text.data(), bytes.data(), bytes.size());
        return text;
    }
    struct Received {
        std::uint16_t buffer_count;
        std::string frame;
    };
    // The next packet in the driver's buffers, each of which is one that give_buffer() gave.
    Received guest_receives() {
        REQUIRE(seen_ != rx.used_idx());
        const auto first = rx.used(seen_);
        const std::string start = guest_bytes(receive_area + area_bytes * first.id, header);
        Received received{};
        std::memcpy(&received.buffer_count, start.data() + 10, sizeof received.buffer_count);
        for (std::uint16_t count = 0; count < received.buffer_count; ++count) {
            REQUIRE(seen_ != rx.used_idx());
            const auto used = rx.used(seen_++);
            received.frame += guest_bytes(receive_area + area_bytes * used.id, used.size_bytes);
        }
        received.frame.erase(0, header);
        return received;
    }
    bool guest_has_packets() const { return seen_ != rx.used_idx(); }

    // Makes a packet available whose header is 0. The driver has yet to notify.
    void guest_queues(std::uint16_t idx, std::string_view frame) {
        const std::string packet = std::string(header, '\0') + std::string{frame};
        tx.offer_text(idx, transmit_area + area_bytes * idx, packet);
    }
    void guest_sends(std::uint16_t idx, std::string_view frame) {
        guest_queues(idx, frame);
        notify(1);
    }

    machine::GuestMemory memory{16 << 20};
    host::UniqueFd peer;
    host::Reactor reactor;
    Net device;
    CountingIrq irq;
    MmioTransport transport{device, memory, irq};
    TestDriver driver{transport};
    TestRing rx{memory, 0x10000, size};
    TestRing tx{memory, 0x12000, size};

private:
    using Pair = std::pair<host::UniqueFd, host::UniqueFd>;

    NetFixture(const NetConfig& config, Pair pair)
        : peer{std::move(pair.first)},
          device{config, backend::Tap::adopt(std::move(pair.second), all_offloads), reactor} {}

    static Pair make_pair() {
        std::array<int, 2> ends{};
        host::check_os(
            ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()),
            "socketpair");
        return {host::UniqueFd{ends[0]}, host::UniqueFd{ends[1]}};
    }

    static constexpr backend::Tap::Offloads all_offloads = 0x7F;

    std::uint64_t next_ring_ = 0x10'0000;
    std::uint16_t seen_ = 0;
};

// Different at every position.
inline std::string make_frame(std::size_t size_bytes, unsigned seed = 0) {
    std::string frame(size_bytes, '\0');
    for (std::size_t i = 0; i < size_bytes; ++i) {
        frame[i] = static_cast<char>((i * 31 + (i >> 8) * 7 + seed) & 0xFF);
    }
    return frame;
}

}  // namespace shoal::virtio
