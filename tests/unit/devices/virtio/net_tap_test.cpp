// The network device on a real TAP, in a network namespace of its own.
#include <doctest/doctest.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <array>
#include <cstring>
#include <string>

#include "tests/unit/devices/virtio/net_tap_fixture.h"

namespace shoal::virtio {
namespace {

namespace net = abi::virtio::net;
namespace feature = net::feature;

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
