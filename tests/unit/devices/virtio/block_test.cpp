// The block device as a well-behaved driver sees it.
#include "devices/virtio/block.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <optional>
#include <vector>

#include "tests/unit/devices/virtio/block_fixture.h"

namespace shoal::virtio {
namespace {

namespace block = abi::virtio::block;
using backend::DiskAccess;
using backend::DiskIo;
using Type = BlockFixture::Type;
using Answer = BlockFixture::Answer;

constexpr std::uint64_t capacity = BlockFixture::image_bytes / 512;

std::vector<std::byte> filled(std::size_t size_bytes, int value) {
    return std::vector<std::byte>(size_bytes, static_cast<std::byte>(value));
}

BlockConfig with_io(DiskIo io, CacheType cache = CacheType::writeback) {
    return {.disk = {.path = {}, .io = io}, .cache = cache, .rate_limiter = {}};
}

}  // namespace

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
    for (const host::Latency& latency : {metrics.read_agg, metrics.write_agg}) {
        CHECK(latency.min_ns > 0);
        CHECK(latency.max_ns >= latency.min_ns);
        CHECK(latency.sum_ns >= latency.max_ns);
        CHECK(latency.sum_ns < 60'000'000'000);
    }
}

TEST_CASE_TEMPLATE("who copies the image hears where it was written to", Io, SyncIo, AsyncIo) {
    BlockFixture f{with_io(Io::value)};
    f.start();
    CHECK(f.write(0, filled(4096, 1)) == Answer::ok);
    BlockContent content = f.device.content();
    CHECK(content.size_bytes == BlockFixture::image_bytes);
    std::vector<std::uint64_t> pages((BlockFixture::image_bytes / 4096 + 63) / 64);
    CHECK(f.run(Type::in, 0, 4096) == Answer::ok);
    content.writes->take(pages);
    CHECK(pages.front() == 0);
    CHECK(f.write(8 * 3 - 1, filled(1024, 2)) == Answer::ok);  // the end of page 2, and page 3
    CHECK(f.write(capacity, filled(512, 3)) == Answer::io_error);
    const abi::virtio::block::Range range{.sector = 8 * 5, .sector_count = 8, .flags = 0};
    CHECK(f.run_range(Type::discard, range) == Answer::ok);
    content.writes->take(pages);
    CHECK(pages.front() == 0b10'1100);
    std::vector<std::byte> bytes(512);
    REQUIRE(::pread(content.fd.get(), bytes.data(), 512, 8 * 3 * 512) == 512);
    CHECK(bytes == filled(512, 2));
    CHECK(content.writes->is_on());
    BlockContent another = f.device.content();
    CHECK_FALSE(content.writes->is_on());
    f.device.update_disk(f.device.config().disk.path);
    CHECK_FALSE(another.writes->is_on());
    another.writes.reset();
    CHECK(f.write(0, filled(512, 4)) == Answer::ok);
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
    // Usually 1 to 4; a busy machine sees them finish in more rounds.
    CHECK(f.irq.take() <= BlockFixture::max_requests / 4);
    for (std::uint64_t count = 0; count < BlockFixture::max_requests; ++count) {
        CHECK(f.status(count) == Answer::ok);
        CHECK(f.image.byte_at(4096 * count) == static_cast<std::byte>(count + 1));
    }
}

TEST_CASE_TEMPLATE("a request that takes many calls is finished", Io, SyncIo, AsyncIo) {
    BlockFixture f{with_io(Io::value)};
    f.start();
    constexpr std::uint32_t bytes = 3 << 20;
    f.put_next_data(filled(bytes, 0x3C));
    CHECK(f.run(Type::out, 8, bytes) == Answer::ok);
    CHECK(f.image.read(4096, bytes) == filled(bytes, 0x3C));
    CHECK(f.image.byte_at(4096 + bytes) == std::byte{0});
    CHECK(f.run(Type::in, 7, bytes) == Answer::ok);
    CHECK(f.data_of(f.last_number, bytes)[511] == std::byte{0});
    CHECK(f.data_of(f.last_number, bytes)[512] == std::byte{0x3C});
    CHECK(f.data_of(f.last_number, bytes)[bytes - 1] == std::byte{0x3C});
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

}  // namespace shoal::virtio
