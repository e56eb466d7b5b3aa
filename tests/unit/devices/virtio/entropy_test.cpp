// The entropy device: a driver that asks, a host that may be slow to give.
#include "devices/virtio/entropy.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "tests/unit/devices/host/recording_sink.h"
#include "tests/unit/devices/virtio/counting_irq.h"
#include "tests/unit/devices/virtio/test_driver.h"
#include "tests/unit/devices/virtio/test_ring.h"

namespace shoal::virtio {
namespace {

namespace feature = abi::virtio::feature;
namespace flag = abi::virtio::descriptor_flag;
using backend::RateLimiterConfig;
using backend::TokenBucketConfig;

constexpr std::uint16_t size = 32;
constexpr std::uint64_t buffers = 0x20'0000;
constexpr int deadline_ms = 5'000;

RateLimiterConfig bandwidth_limit(const TokenBucketConfig& bucket) {
    return {.bandwidth = bucket, .ops = {}};
}
RateLimiterConfig ops_limit(const TokenBucketConfig& bucket) {
    return {.bandwidth = {}, .ops = bucket};
}

struct Fixture {
    explicit Fixture(const RateLimiterConfig& limits = {}) : device{reactor, limits} { start(); }

    void start() {
        ring = TestRing{memory, next_ring_, size};
        next_ring_ += 0x2000;
        driver.reset_to_driver();
        driver.choose_features(feature::version_1);
        driver.set_up_queue(0, ring.layout());
        driver.set_status(Status::driver_ok);
        REQUIRE(driver.status() == static_cast<std::uint32_t>(Status::driver_ok));
        driver.serve_notification();
    }
    // Buffers lie 1 MiB apart.
    void ask(std::uint16_t idx, std::uint32_t size_bytes) {
        ring.offer_buffer(idx, buffers + (std::uint64_t{idx} << 20), size_bytes, flag::write);
        driver.notify(0);
    }
    [[nodiscard]] std::span<std::byte> buffer(std::uint16_t idx, std::uint64_t size_bytes) const {
        return memory.slice(machine::Gpa{buffers + (std::uint64_t{idx} << 20)}, size_bytes).value();
    }
    [[nodiscard]] bool is_broken() const {
        return (driver.status() & abi::virtio::status::device_needs_reset) != 0;
    }

    machine::GuestMemory memory{64 << 20};
    host::Reactor reactor;
    Entropy device;
    CountingIrq irq;
    MmioTransport transport{device, memory, irq};
    TestDriver driver{transport};
    TestRing ring{memory, 0, size};

private:
    std::uint64_t next_ring_ = 0x10'0000;
};

bool is_all_zero(std::span<const std::byte> bytes) {
    return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
}

TEST_CASE("an entropy device has one queue and no configuration") {
    const Fixture f;
    CHECK(f.driver.read(TestDriver::Register::device_id) == 4);
    CHECK(f.driver.read_at<std::uint64_t>(0x100) == 0);
    f.driver.write(TestDriver::Register::queue_select, 1);
    CHECK(f.driver.read(TestDriver::Register::queue_size_max) == 0);
}

TEST_CASE("a pass fills no more than its allowance, and the next one goes on") {
    Fixture f;
    for (std::uint16_t idx = 0; idx < size; ++idx) {
        f.ring.offer_buffer(idx, buffers + (std::uint64_t{idx} << 20), 40 << 10, flag::write);
    }
    f.transport.process_queues();
    CHECK(f.ring.used_idx() >= 1);
    CHECK(f.ring.used_idx() <= 2);  // 64 KiB, begun
    while (f.driver.serve_notification()) {
    }
    CHECK(f.ring.used_idx() == size);
}

TEST_CASE("buffers are filled with bytes that differ") {
    Fixture f;
    std::set<std::vector<std::byte>> different;
    for (std::uint16_t idx = 0; idx < 8; ++idx) {
        f.ask(idx, 64);
        REQUIRE(f.ring.used_idx() == idx + 1);
        CHECK(f.ring.used(idx).size_bytes == 64);
        const auto bytes = f.buffer(idx, 64);
        different.emplace(bytes.begin(), bytes.end());
        CHECK(is_all_zero(f.buffer(idx, 128).subspan(64)));
    }
    CHECK(different.size() == 8);
    CHECK(f.irq.take() > 0);
    CHECK(f.device.metrics().entropy_bytes == 8 * 64);
    CHECK(f.device.metrics().entropy_event_count == 8);
}

TEST_CASE("one byte is a request, and a chain of several buffers is one too") {
    Fixture f;
    f.ask(0, 1);
    CHECK(f.ring.used(0).size_bytes == 1);
    f.ring.describe(1, {buffers, 16, flag::write | flag::next, 2});
    f.ring.describe(2, {buffers + 0x1000, 24, flag::write, 0});
    f.ring.offer(1);
    f.driver.notify(0);
    REQUIRE(f.ring.used_idx() == 2);
    CHECK(f.ring.used(1).size_bytes == 40);
    CHECK_FALSE(is_all_zero(f.memory.slice(machine::Gpa{buffers + 0x1000}, 24).value()));
}

TEST_CASE("a huge buffer is filled up to the bound") {
    Fixture f;
    f.ask(0, 32 << 20);
    REQUIRE(f.ring.used_idx() == 1);
    CHECK(f.ring.used(0).size_bytes == Entropy::max_request_bytes);
    CHECK(is_all_zero(f.buffer(0, 1 << 20).subspan(Entropy::max_request_bytes)));
}

TEST_CASE("more requests than a pass takes are served in several passes") {
    Fixture f;
    for (std::uint16_t idx = 0; idx < size; ++idx) {
        f.ring.offer_buffer(idx, buffers, 8, flag::write);
    }
    f.driver.write(TestDriver::Register::queue_notify, 0);
    CHECK(f.driver.serve_notification());
    CHECK(f.ring.used_idx() < size);
    while (f.driver.serve_notification()) {
    }
    CHECK(f.ring.used_idx() == size);
}

TEST_CASE("a malformed request is the driver's mistake, until it resets") {
    Fixture f;
    SUBCASE("nothing to write to") {
        f.ring.offer_buffer(0, buffers, 8, 0);
    }
    SUBCASE("empty") {
        f.ring.offer_buffer(0, buffers, 0, flag::write);
    }
    SUBCASE("beyond the memory") {
        f.ring.offer_buffer(0, (64 << 20) - 4, 8, flag::write);
    }
    SUBCASE("an index that jumps") {
        f.ring.set_avail_idx(size + 1);
    }
    f.driver.notify(0);
    CHECK(f.is_broken());
    CHECK(f.device.metrics().entropy_event_fails == 1);
    f.start();
    f.ask(0, 8);
    CHECK(f.ring.used(0).size_bytes == 8);
}

TEST_CASE("a rate limit holds requests back until its timer") {
    Fixture f{bandwidth_limit({.size = 1000, .one_time_burst = 0, .refill_time_ms = 50})};
    f.ask(0, 900);
    f.ask(1, 900);
    CHECK(f.ring.used_idx() == 1);
    CHECK(f.device.metrics().entropy_rate_limiter_throttled == 1);

    SUBCASE("and then serves them") {
        REQUIRE(f.reactor.dispatch(deadline_ms));
        CHECK(f.ring.used_idx() == 2);
        CHECK(f.ring.used(1).size_bytes == 900);
        CHECK(f.device.metrics().rate_limiter_event_count == 1);
    }
    SUBCASE("or until it is changed") {
        f.device.update_rate_limiter(bandwidth_limit({}));
        CHECK(f.device.rate_limiter() == RateLimiterConfig{});
        REQUIRE(f.reactor.dispatch(deadline_ms));
        CHECK(f.ring.used_idx() == 2);
    }
    SUBCASE("and forgets them at a reset") {
        f.driver.set_status(Status::reset);
        std::ranges::fill(f.buffer(1, 900), std::byte{0});
        REQUIRE(f.reactor.dispatch(deadline_ms));
        CHECK(f.ring.used_idx() == 1);
        f.start();
        f.driver.notify(0);
        CHECK(f.ring.used_idx() == 0);
        CHECK(is_all_zero(f.buffer(1, 900)));
    }
}

TEST_CASE("a rate limit can be set while the device runs") {
    Fixture f;
    f.device.update_rate_limiter(ops_limit({.size = 1, .one_time_burst = 0, .refill_time_ms = 20}));
    f.ask(0, 8);
    f.ask(1, 8);
    CHECK(f.ring.used_idx() == 1);
    REQUIRE(f.reactor.dispatch(deadline_ms));
    CHECK(f.ring.used_idx() == 2);
}

TEST_CASE("a held back request survives a saved state") {
    Fixture f{ops_limit({.size = 1, .one_time_burst = 0, .refill_time_ms = 3'600'000})};
    f.ask(0, 8);
    f.ask(5, 16);
    REQUIRE(f.ring.used_idx() == 1);
    const EntropyState state = f.device.save();
    CHECK(state.waiting == 5);
    const MmioTransportState registers = f.transport.save();

    Entropy device{f.reactor, {}};
    CountingIrq irq;
    MmioTransport transport{device, f.memory, irq};
    transport.restore(registers);
    REQUIRE(device.restore(state));
    CHECK(device.save() == state);
    transport.resume();
    CHECK(f.ring.used_idx() == 2);
    CHECK(f.ring.used(1).id == 5);
    CHECK(f.ring.used(1).size_bytes == 16);
    CHECK(irq.take() > 0);

    SUBCASE("unless it makes no sense") {
        CHECK_FALSE(device.restore({size}));
        TestDriver{transport}.set_status(Status::reset);
        CHECK_FALSE(device.restore({0}));
        CHECK(device.restore({}));
    }
}

TEST_CASE("the entropy device reports each counter once") {
    Fixture f;
    f.ask(0, 10);
    host::RecordingSink sink;
    f.device.metrics().report(sink);
    CHECK(sink.values.size() == 7);
    CHECK(sink.values["entropy_bytes"] == 10);
    CHECK(sink.values["entropy_event_count"] == 1);
    CHECK(sink.values["entropy_event_fails"] == 0);
}

TEST_CASE("a stopped queue takes the request that waited for the rate limiter with it") {
    Fixture f{bandwidth_limit({.size = 64, .one_time_burst = 0, .refill_time_ms = 20})};
    f.ask(0, 64);
    f.ask(1, 64);
    CHECK(f.ring.used_idx() == 1);
    CHECK(f.device.save().waiting == 1);
    CHECK(f.driver.stop_queue(0));
    CHECK_FALSE(f.device.save().waiting);
    REQUIRE(f.reactor.dispatch(deadline_ms));
    f.ask(2, 64);
    CHECK(f.ring.used_idx() == 1);
    CHECK(is_all_zero(f.buffer(1, 64)));
    CHECK(is_all_zero(f.buffer(2, 64)));
    f.ring = TestRing{f.memory, 0x8'0000, size};
    f.driver.set_up_queue(0, f.ring.layout());
    f.ask(3, 64);
    CHECK(f.ring.used_idx() == 1);
    CHECK(f.ring.used(0).id == 3);
    CHECK_FALSE(f.is_broken());
}

}  // namespace
}  // namespace shoal::virtio
