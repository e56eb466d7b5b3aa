// What devices do in one turn of the event loop, however much their drivers have for them.
#include "devices/virtio/allowance.h"

#include <doctest/doctest.h>

#include "tests/unit/devices/virtio/balloon_fixture.h"
#include "tests/unit/devices/virtio/block_fixture.h"
#include "tests/unit/devices/virtio/net_fixture.h"
#include "tests/unit/devices/virtio/vsock_guest.h"

namespace shoal::virtio {
namespace {

using Type = BlockFixture::Type;
namespace balloon = abi::virtio::balloon;

// One call of process(), and how many chains it used.
template <typename Fixture>
std::uint16_t used_by_one_pass(Fixture& f, const TestRing& ring) {
    const std::uint16_t before = ring.used_idx();
    f.transport.process_queues();
    return static_cast<std::uint16_t>(ring.used_idx() - before);
}

TEST_CASE("an allowance ends with its chains, its bytes or its time") {
    constexpr std::uint64_t never = ~std::uint64_t{0};
    Allowance allowance{.chains = 2, .bytes = 100, .end_ns = never};
    CHECK(allowance.take_chain());
    allowance.spend(99);
    SUBCASE("chains") {
        CHECK(allowance.take_chain());
        CHECK_FALSE(allowance.take_chain());
    }
    SUBCASE("time") {
        allowance.end_ns = 1;
        CHECK_FALSE(allowance.take_chain());
    }
    SUBCASE("bytes, of which the last chain may take more") {
        allowance.spend(~std::uint64_t{0});
        CHECK_FALSE(allowance.take_chain());
    }
}

TEST_CASE("a block device begins no more than its allowance, whatever is in the queue") {
    BlockConfig config;
    config.disk.io = backend::DiskIo::sync;
    BlockFixture f{config};
    f.start();
    const auto offer_and_pass = [&](std::uint32_t size_bytes) {
        for (std::uint64_t count = 0; count < BlockFixture::max_requests; ++count) {
            f.offer(Type::in, 0, size_bytes);
        }
        const std::uint16_t before = f.ring.used_idx();
        f.transport->process_queues();
        return f.ring.used_idx() - before;
    };
    SUBCASE("requests") {
        int left = 10'000;
        while (left > 0) {
            CHECK(offer_and_pass(512) <= int{Block::allowance_per_pass.chains});
            f.serve();
            left -= int{BlockFixture::max_requests};
        }
    }
    SUBCASE("bytes") {
        CHECK(offer_and_pass(64 << 10) <= int{Block::allowance_per_pass.bytes >> 16});
    }
    f.await(static_cast<std::uint16_t>(f.offered));
}

TEST_CASE("a balloon frees a large buffer in pieces") {
    BalloonConfig config;
    config.free_page_reporting = true;
    BalloonFixture f{config};
    const std::uint32_t reporting = balloon::first_optional_queue;
    constexpr std::uint64_t from = 0x40'0000 + 512;  // not at a page's start
    constexpr std::uint32_t size_bytes = 11 << 20;
    const std::uint64_t before = f.host_bytes();
    f.rings[reporting].offer_buffer(0, from, size_bytes, abi::virtio::descriptor_flag::write);
    CHECK(used_by_one_pass(f, f.rings[reporting]) == 0);
    const std::uint64_t freed = before - f.host_bytes();
    CHECK(freed > 0);
    CHECK(freed <= (4 << 20));
    SUBCASE("and all of it in the end") {
        f.driver.notify(reporting);
        CHECK(f.rings[reporting].used_idx() == 1);
        CHECK(before - f.host_bytes() == size_bytes - BalloonFixture::page);
        CHECK(f.device.metrics().free_page_report_count == 1);
        CHECK(f.device.metrics().free_page_report_freed == size_bytes);
    }
    SUBCASE("also when the driver makes the buffer small meanwhile") {
        f.rings[reporting].describe(0, {from, 4096, abi::virtio::descriptor_flag::write, 0});
        f.driver.notify(reporting);
        CHECK(f.rings[reporting].used_idx() == 1);
        CHECK_FALSE(f.is_broken());
    }
    SUBCASE("and forgets it at a reset") {
        f.start();
        f.rings[reporting].offer_buffer(0, 0x2000, 4096, abi::virtio::descriptor_flag::write);
        f.driver.notify(reporting);
        CHECK(f.first_byte_of(2) == 0);
    }
}

TEST_CASE("a network device moves 64 packets a turn in each direction, and the next turns go on") {
    constexpr std::uint16_t offered = 100;
    constexpr std::uint16_t most = 64;
    NetFixture f;
    f.prepare(NetFixture::mergeable, 128);
    const auto one_pass = [&](const TestRing& ring) {
        f.begin();
        CHECK(used_by_one_pass(f, ring) <= most);
        f.serve();
        CHECK(ring.used_idx() == offered);
    };
    SUBCASE("from the guest") {
        for (std::uint16_t idx = 0; idx < offered; ++idx) {
            f.tx.offer_text(idx, NetFixture::transmit_area + 0x100U * idx,
                            std::string(NetFixture::header + 60, '\0'));
        }
        one_pass(f.tx);
    }
    SUBCASE("to the guest") {
        for (std::uint16_t idx = 0; idx < offered; ++idx) {
            f.rx.offer_buffer(idx, NetFixture::receive_area + 0x100U * idx, 0x100,
                              abi::virtio::descriptor_flag::write);
            f.host_sends(make_frame(60));
        }
        one_pass(f.rx);
    }
}

TEST_CASE("a vsock device takes no more than its allowance, whatever is in the queue") {
    VsockGuest guest;
    guest.start_and_listen();
    const VsockServer server{guest.folder / "vsock_52"};
    constexpr VsockPorts ports{52, 1024};
    VsockPeer peer = guest.connect_to(server, ports);
    const auto post_and_pass = [&](std::size_t payload_bytes) {
        const std::string payload(payload_bytes, 'x');
        VsockGuest::Header header = guest.make_header(abi::virtio::vsock::Operation::rw, ports);
        header.len = static_cast<std::uint32_t>(payload.size());
        for (int count = 0; count < VsockGuest::ring_size / 2; ++count) {
            guest.post(header, payload);
        }
        return int{used_by_one_pass(guest, guest.rings[1])};
    };
    CHECK(post_and_pass(1) <= 32);
    guest.settle();
    CHECK(post_and_pass(60 << 10) <= 5);  // 256 KiB, begun
}

}  // namespace
}  // namespace shoal::virtio
