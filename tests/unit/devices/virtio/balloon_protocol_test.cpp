// The balloon's conversations: statistics, free page hinting, saved states.
#include <doctest/doctest.h>

#include <cstring>
#include <utility>
#include <vector>

#include "devices/virtio/balloon.h"
#include "tests/unit/devices/virtio/balloon_fixture.h"

namespace shoal::virtio {
namespace {

namespace balloon = abi::virtio::balloon;
namespace flag = abi::virtio::descriptor_flag;

constexpr std::uint64_t page = BalloonFixture::page;
constexpr std::uint32_t optional_queue = balloon::first_optional_queue;
constexpr std::uint64_t cmd_id_at = 0x108;
constexpr int deadline_ms = 5'000;

BalloonConfig with_statistics() {
    BalloonConfig config;
    config.target_pages = 100;
    config.stats_polling_interval_s = 1;
    return config;
}

BalloonConfig with_hinting() {
    BalloonConfig config;
    config.free_page_hinting = true;
    return config;
}

struct Fixture : BalloonFixture {
    using BalloonFixture::BalloonFixture;

    void tell(std::uint16_t idx, const std::vector<std::pair<std::uint16_t, std::uint64_t>>& all) {
        std::vector<std::byte> bytes;
        for (const auto& [tag, value] : all) {
            const std::size_t at = bytes.size();
            bytes.resize(at + balloon::statistic_bytes);
            std::memcpy(&bytes[at], &tag, sizeof tag);
            std::memcpy(&bytes[at + 2], &value, sizeof value);
        }
        REQUIRE(memory.write_bytes(machine::Gpa{buffer}, bytes));
        offer(idx, bytes.size());
    }
    void offer(std::uint16_t idx, std::uint64_t size_bytes) {
        rings[optional_queue].offer_buffer(idx, buffer, static_cast<std::uint32_t>(size_bytes), 0);
        driver.notify(optional_queue);
    }
    void command(std::uint32_t value) {
        rings[optional_queue].put(buffer, value);
        offer(0, sizeof value);
    }
    void give(std::uint64_t pfn, std::uint32_t count) {
        rings[optional_queue].offer_buffer(1, pfn * page, count * 4096, flag::write);
        driver.notify(optional_queue);
    }
};

TEST_CASE("statistics are what the guest said last, by tag") {
    Fixture f{with_statistics()};
    f.driver.write_at(0x104, std::uint32_t{42});
    f.tell(0, {{4, 1000}, {0, 1}, {15, 99}, {4, 2000}});
    const auto report = f.device.statistics();
    REQUIRE(report);
    CHECK(report->target_pages == 100);
    CHECK(report->actual_pages == 42);
    CHECK(report->guest[4] == 2000);
    CHECK(report->guest[0] == 1);
    CHECK(report->guest[15] == 99);
    CHECK_FALSE(report->guest[5]);
    CHECK(balloon::statistic_names[4] == "free_memory");
    CHECK(balloon::statistic_names[15] == "direct_reclaim");
    CHECK(f.device.metrics().stats_updates_count == 1);
    CHECK(f.rings[optional_queue].used_idx() == 0);
}

TEST_CASE("the timer gives the statistics buffer back, and the next answer comes in it") {
    Fixture f{with_statistics()};
    f.tell(3, {{4, 1}});
    f.irq.take();
    REQUIRE(f.reactor.dispatch(deadline_ms));
    REQUIRE(f.rings[optional_queue].used_idx() == 1);
    CHECK(f.rings[optional_queue].used(0).id == 3);
    CHECK(f.rings[optional_queue].used(0).size_bytes == 0);
    CHECK(f.irq.take() == 1);
    SUBCASE("answered") {
        f.tell(3, {{4, 2}});
        CHECK(f.device.statistics()->guest[4] == 2);
    }
    SUBCASE("not answered, which asks nothing more") {
        REQUIRE(f.reactor.dispatch(deadline_ms));
        CHECK(f.rings[optional_queue].used_idx() == 1);
        CHECK(f.irq.take() == 0);
    }
    SUBCASE("reset meanwhile, which stops the timer") {
        f.driver.set_status(Status::reset);
        CHECK_FALSE(f.reactor.dispatch(1'200));
    }
}

TEST_CASE("statistics buffers of odd sizes and contents do no harm") {
    Fixture f{with_statistics()};
    SUBCASE("unknown tags") {
        f.tell(0, {{16, 5}, {0xFFFF, 6}, {2, 7}});
        CHECK(f.device.statistics()->guest[2] == 7);
        CHECK(f.device.metrics().stats_update_fails == 0);
    }
    SUBCASE("cut") {
        f.tell(0, {{1, 5}});
        f.offer(1, balloon::statistic_bytes + 9);
        CHECK(f.device.metrics().stats_update_fails == 1);
    }
    SUBCASE("one byte") {
        f.offer(0, 1);
        CHECK(f.device.metrics().stats_update_fails == 1);
    }
    SUBCASE("all of memory") {
        f.rings[optional_queue].offer_buffer(0, 0, BalloonFixture::memory_bytes, 0);
        f.driver.notify(optional_queue);
        CHECK(f.device.metrics().stats_update_fails == 1);
    }
    SUBCASE("writable") {
        f.rings[optional_queue].offer_buffer(0, BalloonFixture::buffer, 100, flag::write);
        f.driver.notify(optional_queue);
        CHECK(f.device.metrics().stats_updates_count == 1);
    }
    SUBCASE("more of them than one: the older ones go back") {
        f.offer(0, balloon::statistic_bytes);
        f.offer(1, balloon::statistic_bytes);
        f.offer(2, balloon::statistic_bytes);
        CHECK(f.rings[optional_queue].used_idx() == 2);
        CHECK(f.device.save().statistics_buffer == 2);
    }
    CHECK_FALSE(f.is_broken());
}

TEST_CASE("the polling interval can change, but not from or to none") {
    Fixture f{with_statistics()};
    CHECK(f.device.set_polling_interval(7));
    CHECK(f.device.config().stats_polling_interval_s == 7);
    CHECK(f.device.set_polling_interval(0).error() == BalloonError::statistics_state_change);
    CHECK(f.device.config().stats_polling_interval_s == 7);

    Fixture without{BalloonConfig{}};
    CHECK(without.device.set_polling_interval(1).error() == BalloonError::statistics_state_change);
    CHECK(without.device.set_polling_interval(0));
    CHECK(without.device.statistics().error() == BalloonError::statistics_disabled);
}

TEST_CASE("hinting frees pages between the run's number and the driver's stop") {
    Fixture f{with_hinting()};
    CHECK(f.device.hinting_status() == HintingStatus{0, std::nullopt});
    f.irq.take();
    REQUIRE(f.device.start_hinting(AcknowledgeOnStop::yes));
    const std::uint32_t run = f.driver.read_at<std::uint32_t>(cmd_id_at);
    CHECK(run == balloon::hint_first_run);
    CHECK(f.irq.take() == 1);
    CHECK(f.device.hinting_status() == HintingStatus{run, std::nullopt});

    const std::uint64_t before = f.host_bytes();
    SUBCASE("not before the number") {
        f.give(2000, 8);
        CHECK(f.host_bytes() == before);
        CHECK(f.rings[optional_queue].used_idx() == 1);
    }
    SUBCASE("not with another number") {
        f.command(run + 1);
        f.give(2000, 8);
        CHECK(f.host_bytes() == before);
    }
    SUBCASE("not after the host said done") {
        f.command(run);
        CHECK(f.device.stop_hinting());
        CHECK(f.driver.read_at<std::uint32_t>(cmd_id_at) == balloon::hint_done);
        f.give(2000, 8);
        CHECK(f.host_bytes() == before);
    }
    SUBCASE("in between") {
        f.command(run);
        f.give(2000, 8);
        CHECK(f.host_bytes() == before - 8 * page);
        CHECK(f.device.metrics().free_page_hint_count == 1);
        CHECK(f.device.metrics().free_page_hint_freed == 8 * page);
        f.irq.take();
        f.command(balloon::hint_stop);
        CHECK(f.device.hinting_status() == HintingStatus{balloon::hint_done, 0});
        CHECK((f.driver.read(TestDriver::Register::interrupt_status) &
               abi::virtio::interrupt::configuration_change) != 0);
        f.give(3000, 8);
        CHECK(f.host_bytes() == before - 8 * page);
        REQUIRE(f.device.start_hinting(AcknowledgeOnStop::no));
        CHECK(f.driver.read_at<std::uint32_t>(cmd_id_at) == run + 1);
    }
    SUBCASE("and the driver's stop need not be acknowledged") {
        REQUIRE(f.device.start_hinting(AcknowledgeOnStop::no));
        f.command(run + 1);
        f.command(balloon::hint_stop);
        CHECK(f.device.hinting_status() == HintingStatus{run + 1, 0});
        f.give(2000, 8);
        CHECK(f.host_bytes() == before);
    }
    SUBCASE("and a command of a wrong size is none") {
        f.offer(0, 3);
        CHECK(f.device.metrics().free_page_hint_fails == 1);
        CHECK(f.device.hinting_status() == HintingStatus{run, std::nullopt});
    }
    SUBCASE("and a reset forgets the driver's part") {
        f.command(run);
        f.start();
        f.give(2000, 8);
        CHECK(f.rings[optional_queue].used_idx() == 1);
        CHECK(f.device.metrics().free_page_hint_count == 0);
    }
}

TEST_CASE("hinting is refused where it is not configured") {
    Fixture f{BalloonConfig{}};
    CHECK(f.device.start_hinting(AcknowledgeOnStop::yes).error() == BalloonError::hinting_disabled);
    CHECK(f.device.stop_hinting().error() == BalloonError::hinting_disabled);
    CHECK(f.device.hinting_status().error() == BalloonError::hinting_disabled);
}

TEST_CASE("hinting is refused while there is no driver") {
    Fixture f{with_statistics()};
    BalloonConfig config;
    config.free_page_hinting = true;
    Balloon device{f.memory, f.reactor, config};
    CHECK(device.start_hinting(AcknowledgeOnStop::yes).error() == BalloonError::not_active);
    CHECK(device.stop_hinting().error() == BalloonError::not_active);
    CHECK(device.hinting_status()->host_cmd == 0);
}

TEST_CASE("the number of a hinting run is never a command") {
    BalloonHinting hinting;
    hinting.restore({{0, std::nullopt}, 0xFFFF'FFFF, AcknowledgeOnStop::no});
    hinting.start(AcknowledgeOnStop::yes);
    CHECK(hinting.status().host_cmd == balloon::hint_first_run);
}

TEST_CASE("a stopped queue of a balloon is left alone, and its buffers are forgotten") {
    BalloonConfig config = with_statistics();
    config.free_page_reporting = true;
    Fixture f{config};
    const auto restart = [&f](std::uint32_t idx) {
        f.rings[idx] = TestRing{f.memory, 0x4'0000, BalloonFixture::ring_size};
        std::ranges::fill(f.memory.slice(machine::Gpa{0x4'0000}, 0x2000).value(), std::byte{0});
        f.driver.set_up_queue(idx, f.rings[idx].layout());
        f.driver.serve_notification();
    };
    SUBCASE("inflate") {
        CHECK(f.driver.stop_queue(0));
        f.send_pfns(0, {0x300});
        CHECK(f.first_byte_of(0x300) == 0x5A);
        restart(0);
        f.send_pfns(0, {0x300});
        CHECK(f.first_byte_of(0x300) == 0);
    }
    SUBCASE("statistics, whose buffer the device holds") {
        f.tell(3, {{4, 1}});
        CHECK(f.device.save().statistics_buffer == 3);
        CHECK(f.driver.stop_queue(optional_queue));
        CHECK_FALSE(f.device.save().statistics_buffer);
        REQUIRE(f.reactor.dispatch(deadline_ms));  // the timer, in vain
        CHECK(f.rings[optional_queue].used_idx() == 0);
        restart(optional_queue);
        f.tell(5, {{4, 2}});
        REQUIRE(f.reactor.dispatch(deadline_ms));
        CHECK(f.rings[optional_queue].used(0).id == 5);
        CHECK(f.device.statistics()->guest[4] == 2);
    }
    SUBCASE("reporting, half-way through a chain") {
        constexpr std::uint32_t reporting_queue = optional_queue + 1;
        for (std::uint16_t idx = 0; idx < 2; ++idx) {
            f.rings[reporting_queue].describe(
                idx, {0x80'0000 + 0x40'0000ULL * idx, 0x40'0000,
                      static_cast<std::uint16_t>(flag::write | (idx == 0 ? flag::next : 0)), 1});
        }
        f.rings[reporting_queue].offer(0);
        f.transport.process_queues();
        CHECK(f.rings[reporting_queue].used_idx() == 0);
        CHECK(f.driver.stop_queue(reporting_queue));
        restart(reporting_queue);
        f.rings[reporting_queue].offer_buffer(0, 0x60'0000, page, flag::write);
        f.driver.notify(reporting_queue);
        CHECK(f.rings[reporting_queue].used_idx() == 1);
        CHECK(f.first_byte_of(0x600) == 0);
        CHECK(f.device.metrics().free_page_report_freed == page);
    }
    CHECK_FALSE(f.is_broken());
}

TEST_CASE("a balloon survives a saved state") {
    BalloonConfig config = with_statistics();
    config.free_page_hinting = true;
    Fixture f{config};
    f.driver.write_at(0x104, std::uint32_t{77});
    CHECK(f.device.set_target(200));
    CHECK(f.device.set_polling_interval(3));
    f.tell(5, {{4, 1234}});
    CHECK(f.device.start_hinting(AcknowledgeOnStop::no));
    CHECK(f.device.stop_hinting());
    const BalloonState state = f.device.save();
    CHECK(state.statistics_buffer == 5);

    Balloon device{f.memory, f.reactor, config};
    CountingIrq irq;
    MmioTransport transport{device, f.memory, irq};
    transport.restore(f.transport.save());
    device.restore(state);
    CHECK(device.save() == state);
    CHECK(device.config().target_pages == 200);
    transport.resume();

    SUBCASE("and still knows its statistics buffer") {
        CHECK(device.set_polling_interval(1));
        REQUIRE(f.reactor.dispatch(deadline_ms));
        REQUIRE(f.rings[optional_queue].used_idx() == 1);
        CHECK(f.rings[optional_queue].used(0).id == 5);
    }
    SUBCASE("in which a hinting run has ended") {
        CHECK(f.device.start_hinting(AcknowledgeOnStop::yes));
        const std::uint32_t run = f.device.save().hinting.last_run;
        irq.take();
        device.restore(f.device.save());
        CHECK(device.hinting_status()->host_cmd == balloon::hint_done);
        CHECK(irq.take() == 1);
        CHECK(device.start_hinting(AcknowledgeOnStop::yes));
        CHECK(device.hinting_status()->host_cmd == run + 1);
    }
}

}  // namespace
}  // namespace shoal::virtio
