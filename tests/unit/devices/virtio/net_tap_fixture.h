// TapFixture: a network device on a real TAP for tests, a socket of the kernel on its other side,
// and packets made by hand. For a network namespace of its own.
#pragma once

#include <doctest/doctest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "devices/host/os_error.h"
#include "devices/virtio/net.h"
#include "tests/unit/devices/backend/network_namespace.h"
#include "tests/unit/devices/virtio/net_fixture.h"

namespace shoal::virtio {

constexpr abi::virtio::net::MacAddress guest_mac{2, 0, 0, 0, 0, 2};
constexpr const char* host_address = "10.77.0.1";
constexpr const char* guest_address = "10.77.0.2";
constexpr std::uint16_t port = 4000;
constexpr std::size_t udp_headers_bytes = 14 + 20 + 8;

inline void put16(std::string& text, std::size_t at, std::size_t value) {
    text[at] = static_cast<char>(value >> 8 & 0xFF);
    text[at + 1] = static_cast<char>(value & 0xFF);
}

// The internet checksum's sum, not inverted.
inline std::size_t sum_words(const std::string& text, std::size_t from, std::size_t to) {
    std::size_t sum = 0;
    for (std::size_t at = from; at < to; at += 2) {
        sum += static_cast<std::size_t>(static_cast<unsigned char>(text[at])) << 8 |
               static_cast<unsigned char>(text[at + 1]);
    }
    while (sum > 0xFFFF) {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    return sum;
}

// Ethernet, IPv4 and UDP from the guest to the host; the UDP checksum is left to the device: the
// sum of the pseudo header stands in its place.
inline std::string make_datagram(const abi::virtio::net::MacAddress& host_mac,
                                 const std::string& payload) {
    std::string frame(udp_headers_bytes, '\0');
    std::memcpy(frame.data(), host_mac.data(), 6);
    std::memcpy(frame.data() + 6, guest_mac.data(), 6);
    put16(frame, 12, 0x0800);
    frame[14] = 0x45;
    put16(frame, 16, 28 + payload.size());
    frame[22] = 64;
    frame[23] = 17;
    REQUIRE(::inet_pton(AF_INET, guest_address, frame.data() + 26) == 1);
    REQUIRE(::inet_pton(AF_INET, host_address, frame.data() + 30) == 1);
    put16(frame, 24, ~sum_words(frame, 14, 34));
    put16(frame, 34, port);
    put16(frame, 36, port);
    put16(frame, 38, 8 + payload.size());
    std::string pseudo = frame.substr(26, 8) + std::string(4, '\0');
    pseudo[9] = 17;
    put16(pseudo, 10, 8 + payload.size());
    put16(frame, 40, sum_words(pseudo, 0, 12));
    return frame + payload;
}

constexpr std::size_t tcp_headers_bytes = 14 + 20 + 20;
constexpr std::size_t segment_bytes = 1448;

// A TCP packet that has yet to be cut into segments. Checksums are left to whoever cuts.
inline std::string make_tcp_packet(const abi::virtio::net::MacAddress& to,
                                   std::size_t payload_bytes) {
    std::string frame(tcp_headers_bytes, '\0');
    std::memcpy(frame.data(), to.data(), to.size());
    std::memcpy(frame.data() + 6, guest_mac.data(), guest_mac.size());
    put16(frame, 12, 0x0800);
    frame[14] = 0x45;
    put16(frame, 16, 40 + payload_bytes);
    frame[22] = 64;
    frame[23] = IPPROTO_TCP;
    REQUIRE(::inet_pton(AF_INET, guest_address, frame.data() + 26) == 1);
    REQUIRE(::inet_pton(AF_INET, host_address, frame.data() + 30) == 1);
    frame[46] = 5 << 4;  // the header's length
    return frame + make_frame(payload_bytes);
}

inline abi::virtio::net::Header make_tcp_header() {
    abi::virtio::net::Header header{};
    header.flags = abi::virtio::net::header_needs_csum;
    header.gso_type = 1;  // TCP over IPv4
    header.hdr_len = tcp_headers_bytes;
    header.gso_size = segment_bytes;
    header.csum_start = 34;
    header.csum_offset = 16;
    return header;
}

inline std::string bytes_of(const abi::virtio::net::Header& header,
                            std::size_t count = sizeof(abi::virtio::net::Header)) {
    std::string bytes(count, '\0');
    std::memcpy(bytes.data(), &header, count);
    return bytes;
}

// Sends and sees packets of an interface below all protocols, with the kernel's 10-byte header.
inline host::UniqueFd open_packet_socket(const char* interface_name) {
    host::UniqueFd fd{host::check_os(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL)),
                                     "packet socket")};
    const int on = 1;
    host::check_os(::setsockopt(fd.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on),
                   "PACKET_VNET_HDR");
    const timeval deadline{2, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
    sockaddr_ll own{};
    own.sll_family = AF_PACKET;
    own.sll_protocol = htons(ETH_P_ALL);
    own.sll_ifindex = static_cast<int>(::if_nametoindex(interface_name));
    sockaddr_storage generic{};
    std::memcpy(&generic, &own, sizeof own);
    host::check_os(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&generic), sizeof own),
                   "bind a packet socket");
    return fd;
}
constexpr std::size_t kernel_header_bytes = 10;  // all but num_buffers

struct TapFixture {
    explicit TapFixture(int mtu = 1500) {
        interface.set_mtu(mtu);
        interface.set_up(host_address);
        interface.add_neighbour(guest_address, guest_mac);
        const sockaddr own = backend::TestInterface::make_address(host_address, port);
        host::check_os(::bind(socket.get(), &own, sizeof own), "bind");
    }
    void start(std::uint64_t features) {
        driver.reset_to_driver();
        driver.choose_features(abi::virtio::feature::version_1 | features);
        driver.set_up_queue(0, rx.layout());
        driver.set_up_queue(1, tx.layout());
        driver.set_status(Status::driver_ok);
        for (std::uint16_t idx = 0; idx < 32; ++idx) {
            rx.offer_buffer(idx, 0x40'0000 + 0x1000ULL * idx, 4096,
                            abi::virtio::descriptor_flag::write);
        }
        driver.notify(0);
    }
    void host_sends(const std::string& payload) const {
        const sockaddr to = backend::TestInterface::make_address(guest_address, port);
        REQUIRE(::sendto(socket.get(), payload.data(), payload.size(), 0, &to, sizeof to) ==
                static_cast<ssize_t>(payload.size()));
    }
    std::string host_receives() const {
        timeval deadline{2, 0};
        ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
        std::string payload(65536, '\0');
        const ssize_t count = ::recv(socket.get(), payload.data(), payload.size(), 0);
        payload.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
        return payload;
    }
    // The next packet, header included, whose frame carries this over IPv4: the kernel also sends
    // packets of its own.
    std::string guest_receives(char protocol = IPPROTO_UDP) {
        for (unsigned turn = 0; turn < 40; ++turn) {
            while (seen != rx.used_idx()) {
                const std::string packet = take_packet();
                if (packet.size() > 12 + 23 && packet[12 + 12] == 8 &&
                    packet[12 + 23] == protocol) {
                    return packet;
                }
            }
            reactor.dispatch(50);
            while (driver.serve_notification()) {
            }
        }
        return "";
    }
    std::string take_packet() {
        std::string packet;
        std::uint16_t count = 1;
        for (std::uint16_t done = 0; done < count; ++done) {
            REQUIRE(seen != rx.used_idx());
            const auto used = rx.used(seen++);
            const auto bytes =
                memory.slice(machine::Gpa{0x40'0000 + 0x1000ULL * used.id}, used.size_bytes)
                    .value();
            const std::size_t at = packet.size();
            packet.resize(at + bytes.size());
            std::memcpy(packet.data() + at, bytes.data(), bytes.size());
            std::memcpy(&count, packet.data() + 10, sizeof count);
        }
        return packet;
    }

    machine::GuestMemory memory{16 << 20};
    host::Reactor reactor;
    Net device{{}, backend::Tap::open("tap5"), reactor};
    CountingIrq irq;
    MmioTransport transport{device, memory, irq};
    TestDriver driver{transport};
    TestRing rx{memory, 0x10000, 32};
    TestRing tx{memory, 0x12000, 32};
    std::uint16_t seen = 0;
    backend::TestInterface interface { "tap5" };
    host::UniqueFd socket{
        host::check_os(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
};

}  // namespace shoal::virtio
