// The block device's settings: configuration, limits, another image, state, counters.
#include "devices/virtio/block.h"

#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

#include "tests/unit/devices/host/recording_sink.h"
#include "tests/unit/devices/virtio/block_fixture.h"

namespace shoal::virtio {
namespace {

namespace block = abi::virtio::block;
using backend::DiskAccess;
using backend::DiskIo;
using Type = BlockFixture::Type;
using Answer = BlockFixture::Answer;

constexpr std::uint64_t config_at = 0x100;
constexpr std::uint64_t capacity = BlockFixture::image_bytes / 512;

BlockConfig with_io(DiskIo io, CacheType cache = CacheType::writeback) {
    return {.disk = {.path = {}, .io = io}, .cache = cache, .rate_limiter = {}};
}

}  // namespace

TEST_CASE("the configuration reads the same at every offset and width") {
    BlockFixture f;
    CHECK(f.driver->read(TestDriver::Register::device_id) == 2);
    CHECK(f.driver->read_at<std::uint64_t>(config_at) == capacity);
    CHECK(f.driver->read_at<std::uint32_t>(config_at) == capacity);
    CHECK(f.driver->read_at<std::uint32_t>(config_at + 12) == BlockRequest::max_buffers);
    CHECK(f.driver->read_at<std::uint32_t>(config_at + 20) == 512);
    CHECK(f.driver->read_at<std::uint32_t>(config_at + 36) == Block::max_discard_sectors);
    CHECK(f.driver->read_at<std::uint8_t>(config_at + 56) == 1);
    CHECK(f.driver->read_at<std::uint64_t>(config_at + 72) == 0);
    CHECK(f.driver->read_at<std::uint64_t>(config_at + 0xEF8) == 0);
    for (std::uint64_t offset = 0; offset < 80; ++offset) {
        const auto byte = f.driver->read_at<std::uint8_t>(config_at + offset);
        CHECK((f.driver->read_at<std::uint16_t>(config_at + offset) & 0xFF) == byte);
        CHECK((f.driver->read_at<std::uint64_t>(config_at + offset) & 0xFF) == byte);
    }
    f.driver->write_at(config_at, std::uint64_t{1});
    CHECK(f.driver->read_at<std::uint64_t>(config_at) == capacity);
}

TEST_CASE("the offered features follow access and cache type") {
    const auto has = [](const BlockConfig& config, std::uint64_t which) {
        return (BlockFixture{config}.device.features() & which) != 0;
    };
    BlockConfig config;
    CHECK_FALSE(has(config, block::feature_flush));
    CHECK_FALSE(has(config, block::feature_read_only));
    CHECK(has(config, block::feature_discard));
    CHECK(has(config, block::feature_write_zeroes));
    config.cache = CacheType::writeback;
    CHECK(has(config, block::feature_flush));
    config.disk.access = DiskAccess::read_only;
    CHECK(has(config, block::feature_read_only));
    CHECK_FALSE(has(config, block::feature_discard | block::feature_write_zeroes));
}

TEST_CASE_TEMPLATE("requests over the rate limit wait in the queue for the timer", Io, SyncIo,
                   AsyncIo) {
    BlockConfig config = with_io(Io::value);
    config.rate_limiter.ops = {.size = 2, .one_time_burst = 0, .refill_time_ms = 50};
    BlockFixture f{config};
    f.start();
    for (int count = 0; count < 6; ++count) {
        f.offer(Type::in, 0, 512);
    }
    f.notify();
    CHECK(f.ring.used_idx() <= 2);
    CHECK(f.device.metrics().rate_limiter_throttled_events == 1);
    SUBCASE("and go on by themselves") {
        f.await(6);
        CHECK(f.device.metrics().rate_limiter_event_count >= 1);
    }
    SUBCASE("or when the limit is lifted") {
        f.device.update_rate_limiter({.bandwidth = {}, .ops = backend::TokenBucketConfig{}});
        f.await(6);
        CHECK(f.device.config().rate_limiter == backend::RateLimiterConfig{});
    }
    SUBCASE("or never, after a reset") {
        f.start();
        f.offer(Type::in, 0, 512);
        f.notify();
        f.await(1);
    }
}

TEST_CASE_TEMPLATE("a limit can be set on a device that had none", Io, SyncIo, AsyncIo) {
    BlockFixture f{with_io(Io::value)};
    f.start();
    f.device.update_rate_limiter(
        {.bandwidth = backend::TokenBucketConfig{4096, 0, 100}, .ops = {}});
    CHECK(f.run(Type::in, 0, 4096) == Answer::ok);
    CHECK(f.run(Type::in, 0, 4096) == Answer::ok);
    CHECK(f.device.metrics().rate_limiter_throttled_events >= 1);
}

TEST_CASE_TEMPLATE("another image takes the place of the first while the driver runs", Io, SyncIo,
                   AsyncIo) {
    BlockFixture f{with_io(Io::value)};
    f.start();
    const backend::TemporaryImage other{1 << 20};
    other.fill(0, 4096, std::byte{0x33});
    f.offer(Type::in, 0, 512);
    f.driver->write(TestDriver::Register::queue_notify, 0);
    static_cast<void>(f.driver->serve_notification());
    const auto generation = f.driver->read(TestDriver::Register::config_generation);
    f.irq.take();

    f.device.update_disk(other.path());
    CHECK(f.ring.used_idx() == 1);
    CHECK(f.status(0) == Answer::ok);
    CHECK(f.irq.take() >= 1);
    CHECK(f.driver->read(TestDriver::Register::config_generation) != generation);
    CHECK(f.driver->read_at<std::uint64_t>(config_at) == (1 << 20) / 512);
    CHECK(f.run(Type::in, 0, 4096) == Answer::ok);
    CHECK(f.data_of(f.last_number, 1).front() == std::byte{0x33});
    CHECK(f.run(Type::in, capacity - 1, 512) == Answer::io_error);
    CHECK(f.device.config().disk.path == other.path());
    CHECK(f.device.metrics().update_count == 1);
    CHECK(f.device.metrics().update_fails == 0);
}

TEST_CASE_TEMPLATE("an update that fails changes nothing", Io, SyncIo, AsyncIo) {
    BlockFixture f{with_io(Io::value)};
    f.start();
    CHECK_THROWS_AS(f.device.update_disk("/tmp/shoal-no-such-image"), std::system_error);
    CHECK(f.device.config().disk.path == f.image.path());
    CHECK(f.run(Type::in, 0, 4096) == Answer::ok);
    CHECK(f.device.metrics().update_fails == 1);
    CHECK(f.device.metrics().update_count == 0);
}

TEST_CASE_TEMPLATE("the state survives a round trip", Io, SyncIo, AsyncIo) {
    BlockConfig config = with_io(Io::value);
    config.rate_limiter.ops = {.size = 1000, .one_time_burst = 5, .refill_time_ms = 100};
    BlockFixture source{config};
    source.start();
    source.offer(Type::in, 0, 512);
    source.driver->write(TestDriver::Register::queue_notify, 0);
    static_cast<void>(source.driver->serve_notification());
    const BlockState state = source.device.save();
    CHECK(source.ring.used_idx() == 1);
    CHECK(state.features == source.device.features());
    CHECK(state.capacity_sectors == capacity);
    CHECK(state.block_bytes == 512);
    CHECK(state.rate_limiter == config.rate_limiter);

    BlockFixture target{with_io(DiskIo::async)};  // another file: another id of its own
    target.device.restore(state);
    CHECK(target.device.save() == state);
    target.start();
    CHECK(target.run(Type::get_id, 0, 20) == Answer::ok);
    CHECK(std::memcmp(target.data_of(target.last_number, 20).data(), state.id.data(), 20) == 0);
}

TEST_CASE("a state is refused by a disk that the driver has not seen") {
    BlockFixture f;
    BlockState state = f.device.save();
    SUBCASE("another size") {
        ++state.capacity_sectors;
    }
    SUBCASE("other blocks") {
        state.block_bytes = 4096;
    }
    SUBCASE("other features") {
        state.features ^= block::feature_flush;
    }
    CHECK_THROWS_AS(f.device.restore(state), std::invalid_argument);
}

TEST_CASE("every counter is reported under a name of its own") {
    // All members are counters: give each a value of its own.
    constexpr std::size_t count = sizeof(BlockMetrics) / sizeof(std::uint64_t);
    std::array<std::uint64_t, count> numbers{};
    for (std::size_t idx = 0; idx < count; ++idx) {
        numbers[idx] = idx + 1;
    }
    const auto metrics = std::bit_cast<BlockMetrics>(numbers);
    host::RecordingSink sink;
    metrics.report(sink);
    CHECK(sink.values.size() == count);
    std::uint64_t sum = 0;
    for (const auto& [name, value] : sink.values) {
        sum += value;
    }
    CHECK(sum == count * (count + 1) / 2);
    CHECK(sink.values.at("read_bytes") == metrics.read_bytes);
    CHECK(sink.values.at("rate_limiter_throttled_events") == metrics.rate_limiter_throttled_events);
}

}  // namespace shoal::virtio
