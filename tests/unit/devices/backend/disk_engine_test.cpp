// Both engines on real files.
#include "devices/backend/disk_engine.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tests/unit/devices/backend/disk_engine_fixture.h"
#include "tests/unit/devices/backend/temporary_image.h"

namespace {

using namespace shoal::backend;
using Fixture = DiskEngineFixture;

constexpr std::array engines{DiskIo::sync, DiskIo::async};
constexpr std::uint64_t mib = 1 << 20;

}  // namespace

TEST_CASE("the engine is what was asked for") {
    const TemporaryImage image{mib};
    CHECK(Fixture{image.path(), DiskIo::sync}.engine->io() == DiskIo::sync);
    const Fixture async{image.path(), DiskIo::async};
    if (async.engine->io() != DiskIo::async) {
        MESSAGE("the host refuses io_uring: the sync engine is tested twice");
    }
}

TEST_CASE("what is written can be read, whatever the buffers") {
    for (const char* const folder : {"/tmp", "/dev/shm"}) {
        for (const DiskIo io : engines) {
            for (const std::uint64_t size : {512UL, 4096UL, 64 * 1024UL, 3 * mib + 512}) {
                CAPTURE(folder);
                CAPTURE(size);
                const TemporaryImage image{8 * mib, folder};
                Fixture f{image.path(), io};
                auto written = pattern(size);
                CHECK(f.run(DiskOperation::write, 512, written) == 0);
                CHECK(image.read(512, size) == written);

                std::vector<std::byte> read(size);
                std::array<iovec, 3> buffers{{{read.data(), 1},
                                              {read.data() + 1, size / 2},
                                              {read.data() + 1 + size / 2, size - 1 - size / 2}}};
                CHECK(f.run(DiskOperation::read, 512, size, buffers) == 0);
                CHECK(read == written);
            }
        }
    }
}

TEST_CASE("a direct disk takes aligned and unaligned buffers, and both see the same") {
    const TemporaryImage image{mib};
    for (const DiskIo io : engines) {
        Fixture f{image.path(), io, DiskCaching::direct};
        alignas(4096) static std::array<std::byte, 3 * 4096> memory{};
        std::ranges::copy(pattern(memory.size()), memory.begin());
        const auto aligned = std::span{memory}.first(4096);
        const auto unaligned = std::span{memory}.subspan(4097, 1024);
        CHECK(f.run(DiskOperation::write, 8192, aligned) == 0);
        CHECK(f.run(DiskOperation::write, 8192 + 512, unaligned) == 0);
        CHECK(f.run(DiskOperation::flush, 0, 0) == 0);
        auto expected = std::vector(aligned.begin(), aligned.end());
        std::ranges::copy(unaligned, expected.begin() + 512);
        CHECK(image.read(8192, 4096) == expected);
        CHECK(f.run(DiskOperation::read, 8192, aligned) == 0);
        CHECK(std::ranges::equal(aligned, expected));
    }
}

TEST_CASE("an unaligned request of a direct disk does not overtake those in flight") {
    const TemporaryImage image{4 * mib};
    Fixture f{image.path(), DiskIo::async, DiskCaching::direct};
    alignas(4096) static std::array<std::byte, mib> memory{};
    memory.fill(std::byte{0x11});
    std::array<std::byte, 512> small{};
    small.fill(std::byte{0x22});
    iovec large_buffer{memory.data(), memory.size()};
    iovec small_buffer{small.data() + 0, small.size()};
    if (reinterpret_cast<std::uintptr_t>(small_buffer.iov_base) % 2 == 0) {
        small_buffer = {small.data() + 1, 511};
    }
    DiskRequest large;
    DiskRequest odd;
    large.set(DiskOperation::write, 0, mib, std::span{&large_buffer, 1});
    odd.set(DiskOperation::write, 4096, small_buffer.iov_len, std::span{&small_buffer, 1});
    f.engine->start(large);
    f.engine->start(odd);
    f.engine->wait();
    CHECK(f.engine->take_finished() == &large);
    CHECK(f.engine->take_finished() == &odd);
    CHECK(image.byte_at(4095) == std::byte{0x11});
    CHECK(image.byte_at(4096) == std::byte{0x22});
    CHECK(image.byte_at(4096 + 511) == std::byte{0x11});
}

TEST_CASE("durable writes and flushes succeed") {
    const TemporaryImage image{mib};
    for (const DiskIo io : engines) {
        Fixture f{image.path(), io};
        auto bytes = pattern(4096);
        CHECK(f.run(DiskOperation::write_durably, 4096, bytes) == 0);
        CHECK(f.run(DiskOperation::flush, 0, 0) == 0);
        CHECK(image.read(4096, 4096) == bytes);
    }
}

TEST_CASE("discarding gives the room back and keeps the size") {
    for (const DiskIo io : engines) {
        const TemporaryImage image{4 * mib};
        image.fill(0, 4 * mib, std::byte{0xAB});
        REQUIRE(image.allocated_bytes() >= 4 * mib);
        Fixture f{image.path(), io};
        CHECK(f.run(DiskOperation::discard, mib, 2 * mib) == 0);
        CHECK(image.allocated_bytes() < 3 * mib);
        CHECK(image.byte_at(mib - 1) == std::byte{0xAB});
        CHECK(image.byte_at(mib) == std::byte{0});
        CHECK(image.byte_at(3 * mib) == std::byte{0xAB});
        CHECK(image.read(4 * mib - 1, 1).size() == 1);
    }
}

TEST_CASE("zeros are written with and without giving the room back") {
    for (const char* const folder : {"/tmp", "/dev/shm"}) {  // tmpfs cannot zero a range at once
        for (const DiskIo io : engines) {
            CAPTURE(folder);
            const TemporaryImage image{8 * mib, folder};
            image.fill(0, 8 * mib, std::byte{0xAB});
            Fixture f{image.path(), io};
            CHECK(f.run(DiskOperation::write_zeroes, 512, 3 * mib + 512) == 0);
            CHECK(image.byte_at(511) == std::byte{0xAB});
            CHECK(image.read(512, 3 * mib + 512) == std::vector<std::byte>(3 * mib + 512));
            CHECK(image.byte_at(3 * mib + 1024) == std::byte{0xAB});
            CHECK(image.allocated_bytes() >= 8 * mib);
            CHECK(f.run(DiskOperation::deallocate_zeroes, 4 * mib, 4 * mib) == 0);
            CHECK(image.read(4 * mib, 4 * mib) == std::vector<std::byte>(4 * mib));
            CHECK(image.allocated_bytes() < 5 * mib);
        }
    }
}

TEST_CASE("many requests are in flight at once and all come back") {
    for (const DiskIo io : engines) {
        const TemporaryImage image{mib};
        Fixture f{image.path(), io, DiskCaching::direct};
        std::vector<DiskRequest> requests(DiskEngine::max_in_flight);
        alignas(4096) static std::array<std::byte, mib> memory{};
        std::ranges::copy(pattern(mib), memory.begin());
        std::vector<iovec> buffers(requests.size());
        for (std::size_t idx = 0; idx < requests.size(); ++idx) {
            buffers[idx] = {memory.data() + 4096 * idx, 4096};
            requests[idx].set(DiskOperation::write, 4096 * idx, 4096, std::span{&buffers[idx], 1});
            f.engine->start(requests[idx]);
        }
        CHECK(f.engine->submit());
        f.engine->wait();
        std::size_t count = 0;
        while (const DiskRequest* const request = f.engine->take_finished()) {
            CHECK(request->error == 0);
            ++count;
        }
        CHECK(count == requests.size());
        CHECK(std::ranges::equal(image.read(0, mib), memory));
    }
}
