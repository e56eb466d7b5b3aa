// The balloon's pages: inflating, deflating, reporting, and what they cost the host.
#include "devices/virtio/balloon.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "devices/abi/address_map.h"
#include "devices/virtio/balloon_pages.h"
#include "tests/unit/devices/host/recording_sink.h"
#include "tests/unit/devices/virtio/balloon_fixture.h"

namespace shoal::virtio {
namespace {

namespace balloon = abi::virtio::balloon;
namespace flag = abi::virtio::descriptor_flag;
using Pfns = std::vector<std::uint32_t>;

constexpr std::uint64_t page = BalloonFixture::page;
constexpr std::uint64_t config_at = 0x100;
constexpr std::uint32_t reporting_queue = 2;  // the only optional one here

BalloonConfig plain() {
    BalloonConfig config;
    config.target_pages = 7;
    return config;
}

BalloonConfig with_reporting() {
    BalloonConfig config;
    config.free_page_reporting = true;
    return config;
}

TEST_CASE("a balloon's configuration holds the host's wish and the driver's answer") {
    BalloonFixture f{plain()};
    CHECK(f.driver.read(TestDriver::Register::device_id) == 5);
    CHECK(f.driver.read_at<std::uint32_t>(config_at) == 7);
    CHECK(f.driver.read_at<std::uint32_t>(config_at + 4) == 0);
    CHECK(f.driver.read_at<std::uint64_t>(config_at + 12) == 0);
    CHECK(f.driver.read_at<std::uint16_t>(config_at + 11) == 0);

    SUBCASE("the host changes its wish") {
        f.irq.take();
        const auto before = f.driver.read(TestDriver::Register::config_generation);
        CHECK(f.device.set_target(512));
        CHECK(f.driver.read_at<std::uint32_t>(config_at) == 512);
        CHECK(f.driver.read(TestDriver::Register::config_generation) != before);
        CHECK(f.irq.take() == 1);
        CHECK(f.device.config().target_pages == 512);
    }
    SUBCASE("but not without a driver") {
        f.driver.set_status(Status::reset);
        CHECK(f.device.set_target(1).error() == BalloonError::not_active);
        CHECK(f.device.config().target_pages == 7);
    }
    SUBCASE("the driver writes how far it is") {
        f.driver.write_at(config_at + 4, std::uint32_t{5});
        CHECK(f.driver.read_at<std::uint32_t>(config_at + 4) == 5);
        CHECK(f.device.save().statistics.actual_pages == 5);
    }
    SUBCASE("the driver writes nothing else") {
        f.driver.write_at(config_at, std::uint32_t{5});
        f.driver.write_at(config_at + 4, std::uint16_t{5});
        f.driver.write_at(config_at + 4, std::uint64_t{5});
        f.driver.write_at(config_at + 8, std::uint32_t{5});
        CHECK(f.driver.read_at<std::uint32_t>(config_at) == 7);
        CHECK(f.driver.read_at<std::uint32_t>(config_at + 4) == 0);
        CHECK(f.device.metrics().cfg_fails == 4);
    }
}

TEST_CASE("features and queues follow the configuration") {
    BalloonConfig config;
    CHECK(BalloonFixture{config}.device.features() == 0);
    CHECK(BalloonFixture{config}.device.queue_count() == 2);
    config = {.target_pages = 1,
              .deflate_on_oom = true,
              .stats_polling_interval_s = 3,
              .free_page_hinting = true,
              .free_page_reporting = true};
    const BalloonFixture f{config};
    CHECK(f.device.features() == (1U << 1 | 1U << 2 | 1U << 3 | 1U << 5));
    CHECK(f.device.queue_count() == 5);
    CHECK(f.device.config() == config);
}

TEST_CASE("inflated pages cost the host nothing and come back as zeros") {
    BalloonFixture f{plain()};
    const std::uint64_t before = f.host_bytes();
    Pfns pfns(256);
    std::iota(pfns.begin(), pfns.end(), 2048);
    std::ranges::reverse(pfns);  // as Linux sends them
    f.send_pfns(balloon::inflate_queue, pfns);
    CHECK(f.rings[0].used_idx() == 1);
    CHECK(f.irq.take() > 0);
    CHECK(f.host_bytes() == before - 256 * page);
    CHECK(f.first_byte_of(2047) == 0x5A);
    CHECK(f.first_byte_of(2304) == 0x5A);
    CHECK(f.first_byte_of(2048) == 0);
    CHECK(f.first_byte_of(2303) == 0);
    CHECK(f.device.metrics().inflate_count == 1);

    SUBCASE("and may be used after deflating") {
        f.send_pfns(balloon::deflate_queue, pfns);
        CHECK(f.rings[1].used_idx() == 1);
        CHECK(f.device.metrics().deflate_count == 1);
        CHECK(f.memory.write(machine::Gpa{2048 * page}, std::uint8_t{1}));
        CHECK(f.first_byte_of(2048) == 1);
    }
    SUBCASE("and may be inflated twice") {
        f.send_pfns(balloon::inflate_queue, pfns);
        CHECK(f.host_bytes() <= before - 256 * page);
    }
    CHECK(f.device.metrics().event_fails == 0);
}

TEST_CASE("inflated pages may be scattered, repeated, and in any order") {
    BalloonFixture f{plain()};
    const std::uint64_t before = f.host_bytes();
    f.send_pfns(balloon::inflate_queue, {3000, 2000, 2002, 2001, 3000, 2000, 4095});
    CHECK(f.host_bytes() == before - 5 * page);
    for (const std::uint64_t pfn : {2000U, 2001U, 2002U, 3000U, 4095U}) {
        CHECK(f.first_byte_of(pfn) == 0);
    }
    CHECK(f.first_byte_of(1999) == 0x5A);
    CHECK(f.first_byte_of(2003) == 0x5A);
    CHECK(f.device.metrics().event_fails == 0);
}

TEST_CASE("page frame numbers may be cut by buffers") {
    BalloonFixture f{plain()};
    const std::uint64_t before = f.host_bytes();
    f.rings[0].put(BalloonFixture::buffer, std::uint64_t{3000} << 32 | 2000);
    f.rings[0].describe(0, {BalloonFixture::buffer, 3, flag::next, 1});
    f.rings[0].describe(1, {BalloonFixture::buffer + 3, 5, 0, 0});
    f.rings[0].offer(0);
    f.driver.notify(0);
    CHECK(f.host_bytes() == before - 2 * page);
}

TEST_CASE("pages that are none are counted and skipped, and their neighbours are not") {
    BalloonFixture f{plain()};
    const std::uint64_t before = f.host_bytes();
    f.send_pfns(balloon::inflate_queue, {4095, 4096, 0xC0000, 0x100000, 0xFFFF'FFFF});
    CHECK(f.rings[0].used_idx() == 1);
    CHECK(f.host_bytes() == before - page);
    CHECK(f.device.metrics().event_fails == 4);
    CHECK_FALSE(f.is_broken());
}

TEST_CASE("pages beyond the hole are freed, and none in it") {
    const machine::GuestMemory memory{abi::ram_hole_start + (1 << 20)};
    Pfns pfns{0xBFFFE, 0xBFFFF, 0xC0000, 0xFFFFF, 0x100000, 0x100001, 0x100100};
    for (const std::uint64_t pfn : {0xBFFFFU, 0x100000U}) {
        REQUIRE(memory.write(machine::Gpa{pfn * page}, std::uint8_t{1}));
    }
    const auto bytes = std::as_writable_bytes(std::span{pfns});
    const std::span<std::byte> buffer{bytes};
    Allowance allowance{.chains = 1};
    const DiscardResult result = discard_pfns(memory, {0, {&buffer, 1}, {}}, allowance);
    CHECK(result.discarded_bytes == 4 * page);
    CHECK(result.fails == 3);
    CHECK(memory.read<std::uint8_t>(machine::Gpa{0xBFFFF * page}).value() == 0);
    CHECK(memory.read<std::uint8_t>(machine::Gpa{0x100000 * page}).value() == 0);
}

TEST_CASE("inflate buffers of odd sizes do no harm") {
    BalloonFixture f{plain()};
    const std::uint64_t before = f.host_bytes();
    SUBCASE("not a whole number") {
        f.rings[0].put(BalloonFixture::buffer, std::uint64_t{3000} << 32 | 2000);
        f.rings[0].offer_buffer(0, BalloonFixture::buffer, 7, 0);
        f.driver.notify(0);
        CHECK(f.host_bytes() == before - page);
        CHECK(f.device.metrics().event_fails == 1);
    }
    SUBCASE("more numbers than any driver sends") {
        Pfns pfns(max_pfns_per_chain + 1, 2000);
        pfns.back() = 3000;
        f.send_pfns(balloon::inflate_queue, pfns);
        CHECK(f.first_byte_of(2000) == 0);
        CHECK(f.first_byte_of(3000) == 0x5A);
        CHECK(f.device.metrics().event_fails == 1);
    }
    SUBCASE("all of memory") {
        f.rings[0].offer_buffer(0, 0, BalloonFixture::memory_bytes, 0);
        f.driver.notify(0);
        CHECK(f.device.metrics().event_fails > 0);
    }
    SUBCASE("only writable") {
        f.rings[0].offer_buffer(0, 2000 * page, page, flag::write);
        f.driver.notify(0);
        CHECK(f.host_bytes() == before);
    }
    CHECK(f.rings[0].used_idx() == 1);
    CHECK_FALSE(f.is_broken());
}

TEST_CASE("a guest that inflates its own rings hurts only itself") {
    BalloonFixture f{plain()};
    Pfns everything(max_pfns_per_chain);
    std::iota(everything.begin(), everything.end(), 0);
    f.send_pfns(balloon::inflate_queue, everything);
    f.driver.notify(balloon::inflate_queue);
    f.driver.notify(balloon::deflate_queue);
    CHECK(f.is_broken());
    f.start();
    f.send_pfns(balloon::inflate_queue, {3000});
    CHECK(f.rings[0].used_idx() == 1);
    CHECK(f.first_byte_of(3000) == 0);
}

TEST_CASE("a malformed balloon queue is the driver's mistake") {
    BalloonFixture f{with_reporting()};
    std::uint32_t queue = reporting_queue;
    SUBCASE("inflating") {
        queue = balloon::inflate_queue;
    }
    SUBCASE("deflating") {
        queue = balloon::deflate_queue;
    }
    SUBCASE("reporting") {}
    f.rings[queue].set_avail_idx(1000);
    f.driver.notify(queue);
    CHECK(f.is_broken());
    CHECK(f.device.metrics().event_fails == 1);
    f.start();
    f.send_pfns(balloon::inflate_queue, {3000});
    CHECK(f.rings[0].used_idx() == 1);
}

TEST_CASE("more chains than a pass takes are served in several passes") {
    BalloonFixture f{plain()};
    for (std::uint16_t idx = 0; idx < BalloonFixture::ring_size; ++idx) {
        f.rings[0].offer_buffer(idx, BalloonFixture::buffer, 4, 0);
    }
    f.driver.write(TestDriver::Register::queue_notify, 0);
    CHECK(f.driver.serve_notification());
    CHECK(f.rings[0].used_idx() < BalloonFixture::ring_size);
    while (f.driver.serve_notification()) {
    }
    CHECK(f.rings[0].used_idx() == BalloonFixture::ring_size);
}

TEST_CASE("reported pages cost the host nothing") {
    BalloonFixture f{with_reporting()};
    const std::uint64_t before = f.host_bytes();
    f.rings[reporting_queue].describe(0, {2000 * page, 16 * page, flag::write | flag::next, 1});
    f.rings[reporting_queue].describe(1, {3000 * page, page, flag::write, 0});
    f.rings[reporting_queue].offer(0);
    f.driver.notify(reporting_queue);
    CHECK(f.rings[reporting_queue].used_idx() == 1);
    CHECK(f.host_bytes() == before - 17 * page);
    CHECK(f.device.metrics().free_page_report_count == 1);
    CHECK(f.device.metrics().free_page_report_freed == 17 * page);
    CHECK(f.device.metrics().free_page_report_fails == 0);
    SUBCASE("only whole pages") {
        f.rings[reporting_queue].offer_buffer(2, 2100 * page + 1, 2 * page, flag::write);
        f.driver.notify(reporting_queue);
        CHECK(f.host_bytes() == before - 18 * page);
        CHECK(f.first_byte_of(2100) == 0x5A);
        CHECK(f.first_byte_of(2101) == 0);
    }
}

TEST_CASE("queues follow the features that the driver took") {
    BalloonConfig config = with_reporting();
    config.stats_polling_interval_s = 60;
    BalloonFixture f{config};
    f.start(balloon::feature_statistics);
    const std::uint64_t before = f.host_bytes();
    f.rings[2].offer_buffer(0, 2000 * page, page, flag::write);
    f.driver.notify(2);
    CHECK(f.host_bytes() == before - page);
}

TEST_CASE("the balloon reports each counter once") {
    BalloonFixture f{plain()};
    f.send_pfns(balloon::inflate_queue, {2000, 0xFFFF'FFFF});
    host::RecordingSink sink;
    f.device.metrics().report(sink);
    CHECK(sink.values.size() == sizeof(BalloonMetrics) / sizeof(std::uint64_t));
    CHECK(sink.values["inflate_count"] == 1);
    CHECK(sink.values["event_fails"] == 1);
}

}  // namespace
}  // namespace shoal::virtio
