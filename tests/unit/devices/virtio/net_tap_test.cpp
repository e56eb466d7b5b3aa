// The network device on a real TAP: UDP between a socket of the kernel and a driver that makes
// frames by hand. In a network namespace of its own.
#include <doctest/doctest.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sys/epoll.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "devices/host/os_error.h"
#include "devices/virtio/net.h"
#include "tests/unit/devices/backend/network_namespace.h"
#include "tests/unit/devices/virtio/net_fixture.h"

namespace shoal::virtio {
namespace {

namespace net = abi::virtio::net;
namespace feature = net::feature;
using backend::TestInterface;

constexpr net::MacAddress guest_mac{2, 0, 0, 0, 0, 2};
constexpr const char* host_address = "10.77.0.1";
constexpr const char* guest_address = "10.77.0.2";
constexpr std::uint16_t port = 4000;
constexpr std::size_t udp_headers_bytes = 14 + 20 + 8;

void put16(std::string& text, std::size_t at, std::size_t value) {
    text[at] = static_cast<char>(value >> 8 & 0xFF);
    text[at + 1] = static_cast<char>(value & 0xFF);
}

// The internet checksum's sum, not inverted.
std::size_t sum_words(const std::string& text, std::size_t from, std::size_t to) {
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
std::string make_datagram(const net::MacAddress& host_mac, const std::string& payload) {
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
std::string make_tcp_packet(const net::MacAddress& to, std::size_t payload_bytes) {
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

net::Header make_tcp_header() {
    net::Header header{};
    header.flags = net::header_needs_csum;
    header.gso_type = 1;  // TCP over IPv4
    header.hdr_len = tcp_headers_bytes;
    header.gso_size = segment_bytes;
    header.csum_start = 34;
    header.csum_offset = 16;
    return header;
}

std::string bytes_of(const net::Header& header, std::size_t count = sizeof(net::Header)) {
    std::string bytes(count, '\0');
    std::memcpy(bytes.data(), &header, count);
    return bytes;
}

// Sends and sees packets of an interface below all protocols, with the kernel's 10-byte header.
host::UniqueFd open_packet_socket(const char* interface_name) {
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
        const sockaddr own = TestInterface::make_address(host_address, port);
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
        const sockaddr to = TestInterface::make_address(guest_address, port);
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
    TestInterface interface { "tap5" };
    host::UniqueFd socket{
        host::check_os(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
};

TEST_CASE("a datagram of the host reaches the guest through a TAP") {
    backend::in_network_namespace([] {
        TapFixture f;
        f.start(feature::mrg_rxbuf);
        const std::string payload = make_frame(1000);
        f.host_sends(payload);
        const std::string packet = f.guest_receives();
        REQUIRE(packet.size() == 12 + udp_headers_bytes + payload.size());
        CHECK(packet.substr(12 + udp_headers_bytes) == payload);
        CHECK(packet[0] == 0);  // no checksum is left to a driver that did not offer to do it
        CHECK(std::memcmp(packet.data() + 12, guest_mac.data(), guest_mac.size()) == 0);
    });
}

TEST_CASE("a driver that does checksums is left them, and a large packet takes several buffers") {
    backend::in_network_namespace([] {
        TapFixture f{16'000};
        f.start(feature::mrg_rxbuf | feature::guest_csum);
        const std::string payload = make_frame(15'000);
        f.host_sends(payload);
        const std::string packet = f.guest_receives();
        REQUIRE(packet.size() == 12 + udp_headers_bytes + payload.size());
        CHECK(packet.substr(12 + udp_headers_bytes) == payload);
        CHECK((packet[0] & net::header_needs_csum) != 0);
        CHECK(packet[10] == 4);
    });
}

TEST_CASE("a datagram of the guest reaches the host, which does its checksum") {
    backend::in_network_namespace([] {
        TapFixture f;
        f.start(feature::mrg_rxbuf | feature::csum);
        const std::string payload = make_frame(1000);
        net::Header header{};
        header.flags = net::header_needs_csum;
        header.csum_start = 34;
        header.csum_offset = 6;
        const std::string packet = bytes_of(header) + make_datagram(f.interface.mac(), payload);
        SUBCASE("from where it lies") {}
        SUBCASE("after one whose header makes no sense") {
            std::string bad = packet;
            bad[7] = '\x7F';  // csum_start
            f.tx.offer_text(1, 0x21'0000, bad);
            f.driver.notify(1);
            CHECK(f.device.metrics().tap_write_fails == 1);
            CHECK(f.device.metrics().tx_fails == 1);
        }
        f.tx.offer_text(0, 0x20'0000, packet);
        f.driver.notify(1);
        CHECK(f.host_receives() == payload);
        CHECK(f.device.metrics().tx_packets_count == 1);
    });
}

TEST_CASE("a large TCP packet of the host reaches the guest whole, if the driver takes such") {
    backend::in_network_namespace([] {
        TapFixture f;
        std::uint64_t features = feature::mrg_rxbuf | feature::guest_csum;
        std::size_t largest = tcp_headers_bytes + segment_bytes;
        SUBCASE("cut into segments") {}
        SUBCASE("whole") {
            features |= feature::guest_tso4;
            largest = tcp_headers_bytes + 10'000;
        }
        f.start(features);
        const auto socket = open_packet_socket("tap5");
        const std::string packet =
            bytes_of(make_tcp_header(), kernel_header_bytes) + make_tcp_packet(guest_mac, 10'000);
        REQUIRE(::send(socket.get(), packet.data(), packet.size(), 0) ==
                static_cast<ssize_t>(packet.size()));
        std::string payload;
        while (payload.size() < 10'000) {
            const std::string received = f.guest_receives(IPPROTO_TCP);
            REQUIRE(received.size() > sizeof(net::Header) + tcp_headers_bytes);
            CHECK(received.size() <= sizeof(net::Header) + largest);
            payload += received.substr(sizeof(net::Header) + tcp_headers_bytes);
        }
        CHECK(payload == make_frame(10'000));
    });
}

TEST_CASE("a large TCP packet of the guest reaches the host whole") {
    backend::in_network_namespace([] {
        TapFixture f;
        f.start(f.device.features());
        const auto socket = open_packet_socket("tap5");
        const std::string frame = make_tcp_packet(f.interface.mac(), 10'000);
        f.tx.offer_text(0, 0x20'0000, bytes_of(make_tcp_header()) + frame);
        f.driver.notify(1);
        std::string seen(20'000, '\0');
        ssize_t count = 0;
        do {  // the kernel also sends packets of its own
            count = ::recv(socket.get(), seen.data(), seen.size(), 0);
            REQUIRE(count > 0);
        } while (seen[kernel_header_bytes + 23] != IPPROTO_TCP);
        CHECK(count == static_cast<ssize_t>(kernel_header_bytes + frame.size()));
        CHECK(seen[1] == 1);  // yet to be cut
        CHECK(seen.compare(kernel_header_bytes + tcp_headers_bytes, 10'000, make_frame(10'000)) ==
              0);
    });
}

// What the kernel may leave to the reader of the TAP, as ethtool would show it.
bool offload_is_on(std::uint32_t question) {
    const host::UniqueFd socket{
        host::check_os(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket")};
    ethtool_value value{question, 0};
    ifreq request{};
    std::strcpy(request.ifr_name, "tap5");
    request.ifr_data = reinterpret_cast<char*>(&value);
    host::check_os(::ioctl(socket.get(), SIOCETHTOOL, &request), "SIOCETHTOOL");
    return value.data != 0;
}

TEST_CASE("the TAP's offloads are those that the driver negotiated last") {
    backend::in_network_namespace([] {
        TapFixture f;
        CHECK_FALSE(offload_is_on(ETHTOOL_GTXCSUM));
        f.start(feature::mrg_rxbuf | feature::guest_csum);
        CHECK(offload_is_on(ETHTOOL_GTXCSUM));
        CHECK_FALSE(offload_is_on(ETHTOOL_GTSO));
        f.start(f.device.features());
        CHECK(offload_is_on(ETHTOOL_GTXCSUM));
        CHECK(offload_is_on(ETHTOOL_GTSO));
        f.start(feature::mrg_rxbuf);
        CHECK_FALSE(offload_is_on(ETHTOOL_GTXCSUM));
        CHECK_FALSE(offload_is_on(ETHTOOL_GTSO));
    });
}

// As `ip link delete`.
void delete_tap() {
    const host::UniqueFd netlink{
        host::check_os(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0), "netlink socket")};
    struct {
        nlmsghdr message{sizeof(nlmsghdr) + sizeof(ifinfomsg), RTM_DELLINK,
                         NLM_F_REQUEST | NLM_F_ACK, 1, 0};
        ifinfomsg link{};
    } request;
    request.link.ifi_index = static_cast<int>(::if_nametoindex("tap5"));
    REQUIRE(::send(netlink.get(), &request, sizeof request, 0) == sizeof request);
    std::array<char, 256> answer{};
    REQUIRE(::recv(netlink.get(), answer.data(), answer.size(), 0) > 0);
    REQUIRE(::if_nametoindex("tap5") == 0);
}

TEST_CASE("a TAP that is deleted takes the link down; packets of the guest are dropped") {
    backend::in_network_namespace([] {
        TapFixture f;
        f.start(f.device.features());
        delete_tap();
        CHECK(f.reactor.dispatch(2000));
        CHECK(f.driver.read_at<std::uint16_t>(0x106) == 0);
        while (f.driver.serve_notification()) {
        }
        CHECK_FALSE(f.reactor.dispatch(0));
        f.tx.offer_text(0, 0x20'0000, std::string(100, '\0'));
        f.driver.notify(1);
        CHECK(f.tx.used_idx() == 1);
        CHECK(f.device.metrics().tx_fails == 1);
        CHECK_FALSE(f.reactor.dispatch(0));
    });
}

}  // namespace
}  // namespace shoal::virtio
