// The network device as a whole: what it offers, limits, resets, the end of its TAP, its state.
#include "devices/virtio/net.h"

#include <doctest/doctest.h>

#include <string>

#include "devices/virtio/net_features.h"
#include "tests/unit/devices/host/recording_sink.h"
#include "tests/unit/devices/virtio/net_fixture.h"

namespace shoal::virtio {
namespace {

namespace net = abi::virtio::net;
namespace feature = net::feature;
using backend::Tap;

constexpr net::MacAddress mac{0x06, 0x00, 0xAC, 0x10, 0x00, 0x02};

std::uint64_t offered(const NetFixture& f) {
    f.driver.write(TestDriver::Register::device_features_select, 0);
    const std::uint64_t low = f.driver.read(TestDriver::Register::device_features);
    f.driver.write(TestDriver::Register::device_features_select, 1);
    return low | std::uint64_t{f.driver.read(TestDriver::Register::device_features)} << 32;
}

// Dispatches until `done` or two seconds have passed.
template <typename Done>
bool wait_until(NetFixture& f, Done done) {
    for (unsigned turn = 0; turn < 20 && !done(); ++turn) {
        f.reactor.dispatch(100);
        f.serve();
    }
    return done();
}

TEST_CASE("the address and the MTU are offered when they are configured") {
    NetConfig config;
    SUBCASE("none") {
        const NetFixture f{config};
        CHECK((offered(f) & (feature::mac | feature::mtu)) == 0);
        CHECK(f.driver.read_at<std::uint64_t>(0x100) == 1ULL << 48);  // the link is up
        CHECK(f.driver.read_at<std::uint16_t>(0x10A) == 0);
    }
    SUBCASE("both") {
        config.guest_mac = mac;
        config.mtu = 9000;
        const NetFixture f{config};
        CHECK((offered(f) & feature::mac) != 0);
        CHECK((offered(f) & feature::mtu) != 0);
        CHECK(f.driver.read_at<std::uint64_t>(0x100) == 0x0001'0200'10AC'0006);
        CHECK(f.driver.read_at<std::uint16_t>(0x10A) == 9000);
        CHECK(f.driver.read_at<std::uint64_t>(0x10C) == 0);
    }
}

TEST_CASE("a guest that moved is announced by its address, when that is known") {
    NetConfig config;
    SUBCASE("known") {
        config.guest_mac = mac;
        NetFixture f{config};
        f.device.announce();
        const std::string packet = f.host_receives();
        const std::string address{mac.begin(), mac.end()};
        const std::string no_ip(4, '\0');
        const std::string reverse_arp_request{"\x80\x35\x00\x01\x08\x00\x06\x04\x00\x03", 10};
        CHECK(packet == std::string(NetFixture::header, '\0') + std::string(6, '\xFF') + address +
                            reverse_arp_request + address + no_ip + address + no_ip +
                            std::string(18, '\0'));
        CHECK(f.host_receives().empty());
    }
    SUBCASE("the driver's own") {
        NetFixture f{config};
        f.device.announce();
        CHECK(f.host_receives().empty());
    }
}

TEST_CASE("the device is a network device with two queues and all offloads of its TAP") {
    const NetFixture f;
    CHECK(f.driver.read(TestDriver::Register::device_id) == 1);
    constexpr std::uint64_t expected =
        feature::csum | feature::guest_csum | feature::guest_tso4 | feature::guest_tso6 |
        feature::guest_ecn | feature::guest_ufo | feature::host_tso4 | feature::host_tso6 |
        feature::host_ecn | feature::host_ufo | feature::mrg_rxbuf | feature::status |
        feature::guest_uso4 | feature::guest_uso6 | feature::host_uso;
    CHECK(f.device.features() == expected);
    f.driver.write(TestDriver::Register::queue_select, 1);
    CHECK(f.driver.read(TestDriver::Register::queue_size_max) == 256);
    f.driver.write(TestDriver::Register::queue_select, 2);
    CHECK(f.driver.read(TestDriver::Register::queue_size_max) == 0);
    f.driver.write_at<std::uint32_t>(0x100, 0xFFFF'FFFF);
    CHECK(f.driver.read_at<std::uint32_t>(0x100) == 0);
}

TEST_CASE("offloads follow from the negotiated features, in combinations that the kernel takes") {
    CHECK(net_offloads(0) == 0);
    CHECK(net_offloads(feature::csum | feature::host_tso4) == 0);
    CHECK(net_offloads(feature::guest_csum) == Tap::csum);
    CHECK(net_offloads(feature::guest_tso4 | feature::guest_uso4) == 0);
    CHECK(net_offloads(feature::guest_csum | feature::guest_ecn) == Tap::csum);
    CHECK(net_offloads(feature::guest_csum | feature::guest_uso4) == Tap::csum);
    CHECK(net_offloads(feature::guest_csum | feature::guest_tso6 | feature::guest_ecn) ==
          (Tap::csum | Tap::tso6 | Tap::ecn));
    CHECK(net_offloads(~0ULL) == 0x7F);
    CHECK(net_features(0) == 0);
    CHECK(net_features(Tap::csum) == (feature::csum | feature::guest_csum));
}

TEST_CASE("packets that wait for a device with more offloads are not for one with fewer") {
    NetFixture f;
    f.start(NetFixture::mergeable | feature::guest_csum | feature::guest_tso4);
    f.host_sends(make_frame(5000), net::header_needs_csum);
    SUBCASE("dropped") {
        f.start(NetFixture::mergeable | feature::guest_csum);
        f.give_buffers(2, 8192);
        CHECK_FALSE(f.guest_has_packets());
    }
    SUBCASE("kept where there are as many") {
        f.start(NetFixture::mergeable | feature::guest_csum | feature::guest_tso4);
        f.give_buffers(2, 8192);
        CHECK(f.guest_receives().frame == make_frame(5000));
    }
}

TEST_CASE("the transmit rate is limited, and packets keep their order") {
    NetConfig config;
    config.tx_rate_limiter.ops = {.size = 2, .one_time_burst = 0, .refill_time_ms = 50};
    NetFixture f{config};
    f.start();
    for (std::uint16_t idx = 0; idx < 5; ++idx) {
        f.guest_queues(idx, make_frame(60, idx));
    }
    f.notify(1);
    CHECK(f.tx.used_idx() == 2);
    CHECK(f.device.metrics().tx_rate_limiter_throttled == 1);
    CHECK_FALSE(f.reactor.dispatch(0));
    SUBCASE("until time has passed") {
        CHECK(wait_until(f, [&] { return f.tx.used_idx() == 5; }));
    }
    SUBCASE("until the limit is lifted") {
        f.device.update_rate_limiters({}, {.bandwidth = {}, .ops = backend::TokenBucketConfig{}});
        CHECK(wait_until(f, [&] { return f.tx.used_idx() == 5; }));
        CHECK_FALSE(f.device.config().tx_rate_limiter.ops);
    }
    for (unsigned idx = 0; idx < 5; ++idx) {
        CHECK(f.host_receives().substr(NetFixture::header) == make_frame(60, idx));
    }
}

TEST_CASE("the receive rate is limited, and no packet is lost") {
    NetFixture f;
    f.start();
    f.give_buffers(8, 2048);
    const backend::TokenBucketConfig bucket{
        .size = 1000, .one_time_burst = 0, .refill_time_ms = 20};
    f.device.update_rate_limiters({.bandwidth = bucket, .ops = {}}, {});
    CHECK(f.device.config().rx_rate_limiter.bandwidth == bucket);
    for (unsigned count = 0; count < 3; ++count) {
        f.host_sends(make_frame(600, count));
    }
    f.serve();
    CHECK(f.rx.used_idx() == 1);
    CHECK(f.device.metrics().rx_rate_limiter_throttled == 1);
    f.notify(0);
    CHECK(f.rx.used_idx() == 1);
    SUBCASE("and a reset in the middle forgets the packet under way only") {
        f.start();
        f.give_buffers(8, 2048);
        CHECK(wait_until(f, [&] { return f.rx.used_idx() == 1; }));
        CHECK(f.guest_receives().frame == make_frame(600, 2));
        return;
    }
    CHECK(wait_until(f, [&] { return f.rx.used_idx() == 3; }));
    for (unsigned count = 0; count < 3; ++count) {
        CHECK(f.guest_receives().frame == make_frame(600, count));
    }
}

TEST_CASE("after a reset nothing is written to the old buffers") {
    NetFixture f;
    f.start();
    f.give_buffers(4, 2048);
    f.host_sends(make_frame(9000));  // in the middle of a packet that needs one more
    f.serve();
    SUBCASE("by the driver") {
        f.driver.set_status(Status::reset);
    }
    SUBCASE("by a driver that gave up") {
        f.driver.write(TestDriver::Register::status, abi::virtio::status::failed);
    }
    const std::string before = f.guest_bytes(NetFixture::receive_area, 4096);
    f.host_sends(make_frame(1000, 77));
    f.notify(0);
    f.notify(1);
    CHECK(f.guest_bytes(NetFixture::receive_area, 4096) == before);
    CHECK(f.rx.used_idx() == 0);
    f.start();
    f.give_buffers(4, 2048);
    CHECK(f.guest_receives().frame == make_frame(1000, 77));
}

TEST_CASE("a driver that sets up one queue only gets no harm and no packets") {
    NetFixture f;
    f.driver.reset_to_driver();
    f.driver.choose_features(NetFixture::mergeable);
    f.driver.set_up_queue(1, f.tx.layout());
    f.driver.set_status(Status::driver_ok);
    f.host_sends(make_frame(60));
    f.guest_sends(0, make_frame(60));
    f.notify(0);
    CHECK(f.host_receives().size() == NetFixture::header + 60);
    CHECK_FALSE(f.needs_reset());
}

TEST_CASE("when the TAP is gone the link is down, and nothing spins") {
    NetFixture f;
    f.start();
    f.give_buffers(4, 2048);
    f.peer = host::UniqueFd{};
    f.serve();
    CHECK(f.driver.read_at<std::uint16_t>(0x106) == 0);
    CHECK((f.driver.read(TestDriver::Register::interrupt_status) &
           abi::virtio::interrupt::configuration_change) != 0);
    CHECK_FALSE(f.reactor.dispatch(0));
    CHECK_FALSE(f.guest_has_packets());
    f.start();
    CHECK(f.driver.read_at<std::uint16_t>(0x106) == 0);
}

TEST_CASE("the state holds all that the device was told") {
    NetConfig config;
    config.guest_mac = mac;
    config.mtu = 1400;
    config.rx_rate_limiter = {.bandwidth = backend::TokenBucketConfig{1000, 5, 10},
                              .ops = backend::TokenBucketConfig{20, 6, 30}};
    config.tx_rate_limiter = {.bandwidth = backend::TokenBucketConfig{3000, 7, 10},
                              .ops = backend::TokenBucketConfig{40, 8, 30}};
    NetFixture source{config};
    const NetState state = source.device.save();
    NetFixture target;
    CHECK_FALSE(target.device.save() == state);
    target.device.restore(state);
    CHECK(target.device.save() == state);
    CHECK(target.device.features() == source.device.features());
    CHECK(target.driver.read_at<std::uint64_t>(0x100) ==
          source.driver.read_at<std::uint64_t>(0x100));
    target.start();
    target.guest_sends(0, make_frame(60));
    CHECK(target.device.metrics().tx_spoofed_mac_count == 1);
}

TEST_CASE("saving takes no buffer away from the driver") {
    NetFixture f;
    f.start();
    f.give_buffers(4, 2048);
    f.host_sends(make_frame(100, 1));
    f.serve();
    static_cast<void>(f.device.save());
    f.give_buffer(4, 2048);
    for (unsigned count = 2; count <= 5; ++count) {
        f.host_sends(make_frame(100, count));
    }
    f.notify(0);
    for (unsigned count = 1; count <= 5; ++count) {
        CHECK(f.guest_receives().frame == make_frame(100, count));
    }
    // Each chain was used once.
    for (std::uint16_t position = 0; position < 5; ++position) {
        CHECK(f.rx.used(position).id == position);
    }
}

TEST_CASE("saving loses the packet for which the driver has not given enough, and no other") {
    NetFixture f;
    f.start();
    f.give_buffers(2, 1000);
    f.host_sends(make_frame(5000));
    f.host_sends(make_frame(900));
    f.serve();
    CHECK(f.rx.used_idx() == 0);
    static_cast<void>(f.device.save());
    CHECK(f.device.metrics().rx_fails == 1);
    f.serve();
    CHECK(f.guest_receives().frame == make_frame(900));
}

TEST_CASE("saving delivers the packet that the rate limiter holds back") {
    NetConfig config;
    config.rx_rate_limiter.ops = {.size = 1, .one_time_burst = 0, .refill_time_ms = 60'000};
    NetFixture f{config};
    f.start();
    f.give_buffers(4, 2048);
    f.host_sends(make_frame(100, 1));
    f.host_sends(make_frame(100, 2));
    f.serve();
    CHECK(f.rx.used_idx() == 1);
    f.irq.take();
    static_cast<void>(f.device.save());
    CHECK(f.rx.used_idx() == 2);
    CHECK(f.irq.take() == 1);
}

TEST_CASE("metrics have Firecracker's names") {
    NetFixture f;
    f.start();
    f.guest_sends(0, make_frame(60));
    f.guest_sends(1, "");
    host::RecordingSink sink;
    f.device.metrics().report(sink);
    CHECK(sink.values.size() == sizeof(NetMetrics) / sizeof(std::uint64_t));
    CHECK(sink.values.at("tx_bytes_count") == 60);
    CHECK(sink.values.at("tx_packets_count") == 1);
    CHECK(sink.values.at("tx_malformed_frames") == 1);
    CHECK(sink.values.at("rx_packets_count") == 0);
}

}  // namespace
}  // namespace shoal::virtio
