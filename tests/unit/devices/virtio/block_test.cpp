// The block device as a well-behaved driver and its operator see it.
#include "devices/virtio/block.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "tests/unit/devices/virtio/block_fixture.h"

namespace shoal::virtio {
namespace {

namespace block = abi::virtio::block;
namespace feature = abi::virtio::feature;
using backend::DiskAccess;
using backend::DiskIo;
using Type = BlockFixture::Type;
using Answer = BlockFixture::Answer;

constexpr std::uint64_t config_at = 0x100;
constexpr std::uint64_t capacity = BlockFixture::image_bytes / 512;

std::vector<std::byte> filled(std::size_t size_bytes, int value) {
    return std::vector<std::byte>(size_bytes, static_cast<std::byte>(value));
}

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

TEST_CASE_TEMPLATE("sectors are written and read back", Io, SyncIo, AsyncIo) {
    BlockFixture f{with_io(Io::value)};
    f.start();
    const auto bytes = filled(8192, 0x5A);
    CHECK(f.write(16, bytes) == Answer::ok);
    CHECK(f.image.read(8192, 8192) == bytes);
    CHECK(f.image.byte_at(8191) == std::byte{0});
    CHECK(f.run(Type::in, 16, 8192) == Answer::ok);
    CHECK(std::ranges::equal(f.data_of(f.last_number, 8192), bytes));
    CHECK(f.ring.used(1).size_bytes == 8193);
    CHECK(f.ring.used(0).size_bytes == 1);
    SUBCASE("the last sector too") {
        CHECK(f.write(capacity - 1, filled(512, 1)) == Answer::ok);
        CHECK(f.image.byte_at(BlockFixture::image_bytes - 1) == std::byte{1});
    }
    SUBCASE("nothing at all is no error") {
        CHECK(f.run(Type::in, 0, 0) == Answer::ok);
        CHECK(f.run(Type::out, capacity, 0) == Answer::ok);
    }
    const BlockMetrics metrics = f.device.metrics();
    CHECK(metrics.read_bytes == 8192);
    CHECK(metrics.execute_fails == 0);
}

TEST_CASE("the id is 20 bytes and what the driver offered beyond is cleared") {
    BlockFixture f;
    f.start();
    CHECK(f.run(Type::get_id, 0, 32) == Answer::ok);
    const auto bytes = f.data_of(f.last_number, 32);
    const backend::DiskId id = backend::Disk{f.device.config().disk}.id();
    CHECK(std::memcmp(bytes.data(), id.data(), id.size()) == 0);
    CHECK(std::ranges::all_of(bytes.subspan(20), [](std::byte b) { return b == std::byte{0}; }));
    CHECK(f.run(Type::get_id, 0, 19) == Answer::io_error);
}

TEST_CASE_TEMPLATE("flushes are answered with either cache type", Io, SyncIo, AsyncIo) {
    const DiskIo io = Io::value;
    for (const CacheType cache : {CacheType::unsafe, CacheType::writeback}) {
        BlockFixture f{with_io(io, cache)};
        f.start();
        CHECK(f.run(Type::flush, 0, 0) == Answer::ok);
        CHECK(f.device.metrics().flush_count == 1);
    }
}

TEST_CASE_TEMPLATE("a writeback disk writes through for a driver that cannot flush", Io, SyncIo,
                   AsyncIo) {
    BlockFixture f{with_io(Io::value)};
    f.start(0);
    CHECK(f.write(0, filled(4096, 7)) == Answer::ok);
    CHECK(f.image.byte_at(0) == std::byte{7});
}

TEST_CASE_TEMPLATE("discard gives room back to the host, zeros are zeros", Io, SyncIo, AsyncIo) {
    BlockFixture f{with_io(Io::value)};
    f.image.fill(0, BlockFixture::image_bytes, std::byte{0xAB});
    const std::uint64_t before = f.image.allocated_bytes();
    f.start();
    CHECK(f.run_range(Type::discard, {0, 2048, 0}) == Answer::ok);
    CHECK(f.image.allocated_bytes() + 2048 * 512 <= before);
    CHECK(f.run_range(Type::write_zeroes, {2048, 2048, block::range_flag_unmap}) == Answer::ok);
    CHECK(f.image.allocated_bytes() + 4096 * 512 <= before);
    CHECK(f.run_range(Type::write_zeroes, {4096, 3, 0}) == Answer::ok);
    CHECK(f.image.read(0, 4099 * 512) == filled(4099 * 512, 0));
    CHECK(f.image.byte_at(4099 * 512) == std::byte{0xAB});
    CHECK(f.run_range(Type::discard, {capacity, 0, 0}) == Answer::ok);
    const BlockMetrics metrics = f.device.metrics();
    CHECK(metrics.discard_count == 2);
    CHECK(metrics.discard_bytes == 2048 * 512);
    CHECK(metrics.write_zeroes_count == 2);
    CHECK(metrics.write_zeroes_bytes == 2051 * 512);
}

TEST_CASE_TEMPLATE("a read-only disk is read and never written", Io, SyncIo, AsyncIo) {
    BlockConfig config = with_io(Io::value);
    config.disk.access = DiskAccess::read_only;
    BlockFixture f{config};
    f.image.fill(0, 4096, std::byte{9});
    f.start();
    CHECK(f.run(Type::in, 0, 4096) == Answer::ok);
    CHECK(f.data_of(f.last_number, 1).front() == std::byte{9});
    CHECK(f.write(0, filled(512, 1)) == Answer::io_error);
    CHECK(f.run_range(Type::discard, {0, 8, 0}) == Answer::unsupported);
    CHECK(f.run_range(Type::write_zeroes, {0, 8, 0}) == Answer::unsupported);
    CHECK(f.run(Type::flush, 0, 0) == Answer::ok);
    CHECK(f.image.byte_at(0) == std::byte{9});
}

TEST_CASE_TEMPLATE("many requests finish with few interrupts", Io, SyncIo, AsyncIo) {
    BlockFixture f{with_io(Io::value)};
    f.start();
    f.irq.take();
    for (std::uint64_t count = 0; count < BlockFixture::max_requests; ++count) {
        f.put_next_data(filled(4096, static_cast<int>(count + 1)));
        f.offer(Type::out, 8 * count, 4096);
    }
    f.notify();
    f.await(BlockFixture::max_requests);
    CHECK(f.irq.take() <= 4);
    for (std::uint64_t count = 0; count < BlockFixture::max_requests; ++count) {
        CHECK(f.status(count) == Answer::ok);
        CHECK(f.image.byte_at(4096 * count) == static_cast<std::byte>(count + 1));
    }
}

TEST_CASE("what finishes later wakes the reactor") {
    BlockFixture f{with_io(DiskIo::async)};
    f.image.fill(0, BlockFixture::image_bytes, std::byte{0x77});
    f.start();
    SUBCASE("from a worker thread of the host") {
        f.offer(Type::flush, 0, 0);
    }
    SUBCASE("from the disk") {
        REQUIRE(::fsync(f.image.fd()) == 0);
        REQUIRE(::posix_fadvise(f.image.fd(), 0, 0, POSIX_FADV_DONTNEED) == 0);
        f.offer(Type::in, 1024, 65536);
    }
    f.driver->write(TestDriver::Register::queue_notify, 0);
    static_cast<void>(f.driver->serve_notification());
    const auto begin = std::chrono::steady_clock::now();
    while (f.ring.used_idx() != 1) {
        f.reactor.dispatch(10'000);  // may also return because the host interrupts it
        REQUIRE(std::chrono::steady_clock::now() - begin < std::chrono::seconds{8});
    }
    CHECK(f.status(0) == Answer::ok);
}

TEST_CASE_TEMPLATE("a host's error is an I/O error of that request alone", Io, SyncIo, AsyncIo) {
    BlockFixture f{with_io(Io::value)};
    f.start();
    f.image.resize(BlockFixture::image_bytes / 2);
    CHECK(f.run(Type::in, capacity - 8, 4096) == Answer::io_error);
    CHECK(f.run(Type::in, 0, 4096) == Answer::ok);
    CHECK_FALSE(f.needs_reset());
    CHECK(f.device.metrics().execute_fails == 1);
}

TEST_CASE("a device that is destroyed waits for what is in flight") {
    BlockFixture f;
    std::optional<Block> device{
        std::in_place, BlockFixture::with_path(with_io(DiskIo::async), f.image.path()), f.reactor};
    MmioTransport transport{*device, f.memory, f.irq};
    f.driver.emplace(transport);
    f.start(device->features());
    for (int count = 0; count < 20; ++count) {
        f.offer(Type::flush, 0, 0);
    }
    f.driver->write(TestDriver::Register::queue_notify, 0);
    static_cast<void>(f.driver->serve_notification());
    device.reset();
    CHECK_FALSE(f.reactor.dispatch(0));
}

TEST_CASE_TEMPLATE("a reset in mid-flight ends before anything is written any more", Io, SyncIo,
                   AsyncIo) {
    BlockFixture f{with_io(Io::value)};
    f.image.fill(0, BlockFixture::image_bytes, std::byte{0x77});
    for (int round = 0; round < 5; ++round) {
        f.start();
        for (std::uint64_t count = 0; count < BlockFixture::max_requests; ++count) {
            const bool is_flush = count % 8 == 0;
            f.offer(is_flush ? Type::flush : Type::in, 8 * count, is_flush ? 0 : 4096);
        }
        f.driver->write(TestDriver::Register::queue_notify, 0);
        static_cast<void>(f.driver->serve_notification());
        f.driver->set_status(Status::reset);
        const auto memory = f.memory.slice(machine::Gpa{0}, BlockFixture::memory_bytes).value();
        std::ranges::fill(memory, BlockFixture::untouched);
        f.serve();
        CHECK(
            std::ranges::all_of(memory, [](std::byte b) { return b == BlockFixture::untouched; }));
    }
    f.start();
    CHECK(f.run(Type::in, 0, 512) == Answer::ok);
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
    struct Sink final : host::MetricSink {
        void counter(std::string_view name, std::uint64_t value) override {
            CHECK(values.emplace(name, value).second);
        }
        std::map<std::string, std::uint64_t, std::less<>> values;
    };
    // All members are counters: give each a value of its own.
    constexpr std::size_t count = sizeof(BlockMetrics) / sizeof(std::uint64_t);
    std::array<std::uint64_t, count> numbers{};
    for (std::size_t idx = 0; idx < count; ++idx) {
        numbers[idx] = idx + 1;
    }
    const auto metrics = std::bit_cast<BlockMetrics>(numbers);
    Sink sink;
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
