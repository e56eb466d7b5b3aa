// The block device and a driver that breaks the rules.
#include <doctest/doctest.h>

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "tests/unit/devices/virtio/block_fixture.h"

namespace shoal::virtio {
namespace {

namespace block = abi::virtio::block;
namespace flag = abi::virtio::descriptor_flag;
using Type = BlockFixture::Type;
using Answer = BlockFixture::Answer;

constexpr std::uint64_t capacity = BlockFixture::image_bytes / 512;
constexpr std::uint64_t data_at = BlockFixture::data_at;

struct Part {
    std::uint64_t address;
    std::uint32_t size_bytes;
    std::uint16_t flags;
};

BlockConfig writeback(backend::DiskIo io) {
    return {.disk = {.path = {}, .io = io}, .cache = CacheType::writeback, .rate_limiter = {}};
}

// Makes a chain of any shape available, from descriptor 0 on, with this header at data_at.
void offer_parts(BlockFixture& f, const block::RequestHeader& header,
                 const std::vector<Part>& parts) {
    f.ring.put(data_at, header);
    for (std::size_t idx = 0; idx < parts.size(); ++idx) {
        const bool is_last = idx + 1 == parts.size();
        f.ring.describe(static_cast<std::uint16_t>(idx),
                        {parts[idx].address, parts[idx].size_bytes,
                         static_cast<std::uint16_t>(parts[idx].flags | (is_last ? 0 : flag::next)),
                         static_cast<std::uint16_t>(is_last ? 0 : idx + 1)});
    }
    f.ring.offer(0);
    f.notify();
}

}  // namespace

TEST_CASE_TEMPLATE("a chain that is no request stops the device until it is reset", Io, SyncIo,
                   AsyncIo) {
    BlockFixture f{writeback(Io::value)};
    f.start();
    const Part header{data_at, 16, 0};
    const Part status{data_at + 64, 1, flag::write};
    SUBCASE("no status") {
        offer_parts(f, {Type::in, 0, 0}, {header});
    }
    SUBCASE("no header") {
        offer_parts(f, {Type::in, 0, 0}, {status});
    }
    SUBCASE("half a header") {
        offer_parts(f, {Type::in, 0, 0}, {{data_at, 15, 0}, status});
    }
    SUBCASE("a read into what the device may not write") {
        offer_parts(f, {Type::in, 0, 0}, {header, {data_at + 512, 512, 0}, status});
    }
    SUBCASE("a write from what the device shall write") {
        offer_parts(f, {Type::out, 0, 0}, {header, {data_at + 512, 512, flag::write}, status});
    }
    SUBCASE("a range in what the device shall write") {
        offer_parts(f, {Type::discard, 0, 0}, {header, {data_at + 512, 16, flag::write}, status});
    }
    SUBCASE("more data buffers than seg_max") {
        std::vector<Part> parts(BlockRequest::max_buffers + 3, {data_at + 512, 512, flag::write});
        parts.front() = header;
        offer_parts(f, {Type::in, 0, 0}, parts);
    }
    SUBCASE("a buffer outside memory") {
        offer_parts(f, {Type::in, 0, 0},
                    {header, {BlockFixture::memory_bytes - 511, 512, flag::write}, status});
    }
    SUBCASE("an avail index from nowhere, with requests in flight") {
        for (int count = 0; count < 20; ++count) {
            f.offer(Type::flush, 0, 0);
        }
        f.ring.set_avail_idx(2000);
        f.notify();
    }
    CHECK(f.needs_reset());
    CHECK(f.device.metrics().event_fails == 1);
    f.start();
    CHECK(f.run(Type::in, 0, 512) == Answer::ok);
}

TEST_CASE_TEMPLATE("a request that cannot be done is answered, and the device goes on", Io, SyncIo,
                   AsyncIo) {
    BlockFixture f{writeback(Io::value)};
    f.image.fill(0, 4096, std::byte{1});
    f.start();
    SUBCASE("not whole sectors") {
        CHECK(f.run(Type::in, 0, 511) == Answer::io_error);
        CHECK(f.run(Type::in, 0, 513) == Answer::io_error);
        CHECK(f.run(Type::out, 0, 1) == Answer::io_error);
    }
    SUBCASE("beyond the end") {
        CHECK(f.run(Type::in, capacity, 512) == Answer::io_error);
        CHECK(f.run(Type::out, capacity - 1, 1024) == Answer::io_error);
        CHECK(f.run(Type::in, capacity + 1, 0) == Answer::io_error);
    }
    SUBCASE("wrapping") {
        CHECK(f.run(Type::in, UINT64_MAX, 512) == Answer::io_error);
        CHECK(f.run(Type::in, UINT64_MAX / 512 + 1, 512) == Answer::io_error);
        CHECK(f.run(Type::out, UINT64_MAX - 1, 1024) == Answer::io_error);
    }
    SUBCASE("of an unknown type") {
        for (const std::uint32_t type : {2U, 3U, 5U, 7U, 10U, 12U, 14U, 0xFFFF'FFFFU}) {
            CHECK(f.run(Type{type}, 0, 512) == Answer::unsupported);
        }
    }
    CHECK_FALSE(f.needs_reset());
    CHECK(f.image.byte_at(0) == std::byte{1});
    CHECK(f.run(Type::in, capacity - 1, 512) == Answer::ok);
}

TEST_CASE_TEMPLATE("ranges are checked", Io, SyncIo, AsyncIo) {
    BlockFixture f{writeback(Io::value)};
    f.image.fill(0, 4096, std::byte{1});
    f.start();
    for (const Type type : {Type::discard, Type::write_zeroes}) {
        CHECK(f.run_range(type, {capacity, 1, 0}) == Answer::io_error);
        CHECK(f.run_range(type, {capacity - 1, 2, 0}) == Answer::io_error);
        CHECK(f.run_range(type, {UINT64_MAX, 1, 0}) == Answer::io_error);
        CHECK(f.run_range(type, {1, UINT32_MAX, 0}) == Answer::io_error);
        CHECK(f.run_range(type, {0, 8, 2}) == Answer::unsupported);
        CHECK(f.run_range(type, {0, 8, 0x8000'0001}) == Answer::unsupported);
        CHECK(f.run(type, 0, 0) == Answer::io_error);
        CHECK(f.run(type, 0, 15) == Answer::io_error);
        CHECK(f.run(type, 0, 32) == Answer::unsupported);
    }
    CHECK(f.run_range(Type::discard, {0, 8, block::range_flag_unmap}) == Answer::unsupported);
    CHECK(f.image.byte_at(0) == std::byte{1});
    CHECK_FALSE(f.needs_reset());
}

TEST_CASE_TEMPLATE("how a request is cut into buffers does not matter", Io, SyncIo, AsyncIo) {
    BlockFixture f{writeback(Io::value)};
    f.image.fill(512, 512, std::byte{0x42});
    f.start();
    const std::uint64_t buffer_at = data_at + 4096;
    SUBCASE("status right behind the data") {
        offer_parts(f, {Type::in, 0, 1}, {{data_at, 16, 0}, {buffer_at, 513, flag::write}});
    }
    SUBCASE("the header in single bytes") {
        std::vector<Part> parts;
        for (std::uint64_t idx = 0; idx < 16; ++idx) {
            parts.push_back({data_at + idx, 1, 0});
        }
        parts.push_back({buffer_at, 100, flag::write});
        parts.push_back({buffer_at + 100, 413, flag::write});
        offer_parts(f, {Type::in, 0, 1}, parts);
    }
    f.await(1);
    CHECK(f.ring.used(0).size_bytes == 513);
    const auto read = f.memory.slice(machine::Gpa{buffer_at}, 514).value();
    CHECK(std::ranges::all_of(read.first(512), [](std::byte b) { return b == std::byte{0x42}; }));
    CHECK(read[512] == std::byte{0});
}

TEST_CASE_TEMPLATE("data may follow the header in its buffer", Io, SyncIo, AsyncIo) {
    BlockFixture f{writeback(Io::value)};
    f.start();
    const std::uint64_t status_at = data_at + 4096;
    f.memory.slice(machine::Gpa{data_at + 16}, 512).value()[0] = std::byte{0x66};
    f.ring.put(status_at, BlockFixture::untouched);
    offer_parts(f, {Type::out, 0, 3}, {{data_at, 16 + 512, 0}, {status_at, 1, flag::write}});
    f.await(1);
    CHECK(f.image.byte_at(3 * 512) == std::byte{0x66});
    CHECK(f.ring.get<Answer>(status_at) == Answer::ok);
}

TEST_CASE("one chain made available again and again fills no more than the pool") {
    BlockFixture f{writeback(backend::DiskIo::async)};
    f.start();
    const std::uint16_t head = static_cast<std::uint16_t>(3 * f.offer(Type::flush, 0, 0));
    for (int count = 1; count < 250; ++count) {
        f.ring.offer(head);
    }
    f.notify();
    for (int count = 0; count < 100; ++count) {
        f.ring.offer(head);
    }
    f.notify();
    f.await(350);
    CHECK_FALSE(f.needs_reset());
    CHECK(f.device.metrics().flush_count == 350);
}

TEST_CASE_TEMPLATE("a driver that reads into the rings and the header hurts only itself", Io,
                   SyncIo, AsyncIo) {
    BlockFixture f{writeback(Io::value)};
    f.image.fill(0, 8192, std::byte{0xFF});
    f.start();
    offer_parts(
        f, {Type::in, 0, 0},
        {{data_at, 16, 0}, {BlockFixture::ring_at, 8192, flag::write}, {data_at, 1, flag::write}});
    f.serve();
    f.start();
    CHECK(f.run(Type::in, 0, 512) == Answer::ok);
}

}  // namespace shoal::virtio
