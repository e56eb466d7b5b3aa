// The cache of a disk's blocks: what it reads, what it keeps, and what it lets go.
#include "guest/kernel/fs/block_cache.h"

#include <doctest/doctest.h>

#include "tests/unit/guest/kernel/fs/fake_disk.h"
#include "tests/unit/guest/kernel/fs/fake_kernel.h"

namespace shoal::guest {
namespace {

constexpr std::size_t block_bytes = BlockCache::block_bytes;

// Every block starts with its number.
std::vector<std::byte> numbered_blocks(std::uint32_t count) {
    std::vector<std::byte> bytes(count * block_bytes);
    for (std::uint32_t block = 0; block < count; ++block) {
        std::memcpy(&bytes[block * block_bytes], &block, sizeof block);
    }
    return bytes;
}

std::uint32_t number_in(const Result<const std::byte*>& found) {
    REQUIRE(found);
    REQUIRE(*found != nullptr);
    std::uint32_t number = 0;
    std::memcpy(&number, *found, sizeof number);
    return number;
}

TEST_CASE("single blocks are read alone, and once") {
    fake::FakeDisk disk{numbered_blocks(100)};
    BlockCache cache{disk, 0};
    for (const std::uint32_t block : {7U, 99U, 3U, 7U, 99U}) {
        ReadAhead single;
        CHECK(number_in(cache.find(block, 100, single)) == block);
    }
    CHECK(disk.touched == std::set<std::uint64_t>{3, 7, 99});
    CHECK(disk.request_count == 3);
}

TEST_CASE("a block is brought in while others run, who may need it too, or push it out") {
    fake::FakeDisk disk{numbered_blocks(2000)};
    BlockCache cache{disk, 0};
    ReadAhead ahead;
    SUBCASE("nobody else") {
        cache.bring_in(7, 100, ahead);
    }
    SUBCASE("who reads the same block") {
        disk.while_asleep = [&] {
            ReadAhead single;
            CHECK(number_in(cache.find(7, 100, single)) == 7);
        };
        cache.bring_in(7, 100, ahead);
        CHECK(disk.request_count == 1);
    }
    SUBCASE("who reads so much that the run is used for other blocks") {
        disk.while_asleep = [&] {
            for (std::uint32_t block = 100; block < 1900; ++block) {
                ReadAhead single;
                CHECK(number_in(cache.find(block, 0, single)) == block);
            }
        };
        cache.bring_in(7, 100, ahead);
    }
    CHECK(disk.sleeps == 1);
    const std::size_t requests = disk.request_count;
    CHECK(number_in(cache.find(7, 100, ahead)) == 7);
    CHECK(disk.request_count <= requests + 1);
    cache.bring_in(7, 100, ahead);
    cache.bring_in(2000, 3000, ahead);  // behind the end
    CHECK(disk.sleeps == 1);
}

TEST_CASE("blocks are given back when memory is gone, but the last ones, and none that is kept") {
    fake::FakeDisk disk{numbered_blocks(2000)};
    BlockCache cache{disk, 1000};
    CHECK(!cache.give_back());
    ReadAhead ahead;
    for (std::uint32_t block = 0; block < 600; ++block) {
        REQUIRE(number_in(cache.find(block, 600, ahead)) == block);
    }
    ReadAhead single;
    const auto kept = cache.keep(300, 0, single);
    REQUIRE(kept);
    const std::size_t before = fake::pages_in_use;
    int calls = 0;
    bool has_given = true;
    for (; calls < 100 && has_given; ++calls) {
        ReadAhead other;
        const auto found = cache.find(599, 0, other);
        // All were used once, so that the first looks only take the marks away.
        for (int look = 0; look < 20 && !(has_given = cache.give_back()); ++look) {
        }
        CHECK(number_in(found) == 599);
    }
    CHECK(calls > 4);
    CHECK(before - fake::pages_in_use >= 600 - BlockCache::evictable_from - 1);
    CHECK(number_in(kept) == 300);
}

TEST_CASE("a sequential reader finds the next window on its way, and nothing behind the end") {
    fake::FakeDisk disk{numbered_blocks(1000)};
    BlockCache cache{disk, 0};
    ReadAhead ahead{.next = 10};
    for (std::uint32_t block = 10; block < 500; ++block) {
        REQUIRE(number_in(cache.find(block, 500, ahead)) == block);
    }
    CHECK(disk.most_in_flight >= 2);
    CHECK(disk.request_count < 25);
    CHECK(*disk.touched.begin() == 10);
    CHECK(*disk.touched.rbegin() == 499);
}

TEST_CASE("a disk that takes one page at a time is read all the same") {
    fake::FakeDisk disk{numbered_blocks(100)};
    disk.pages_max = 1;
    BlockCache cache{disk, 0};
    ReadAhead ahead;
    for (std::uint32_t block = 0; block < 100; ++block) {
        REQUIRE(number_in(cache.find(block, 100, ahead)) == block);
    }
    CHECK(disk.request_count == 100);
}

TEST_CASE("the cache holds no more than its limit, and gives all back") {
    const std::size_t before = fake::pages_in_use;
    {
        fake::FakeDisk disk{numbered_blocks(4000)};
        BlockCache cache{disk, 0};
        ReadAhead ahead;
        for (std::uint32_t round = 0; round < 2; ++round) {
            for (std::uint32_t block = 0; block < 4000; ++block) {
                REQUIRE(number_in(cache.find(block, 4000, ahead)) == block);
            }
        }
        CHECK(fake::pages_in_use - before < BlockCache::limit_min + 150);
    }
    CHECK(fake::pages_in_use == before);
}

TEST_CASE("what was just found is still there after as much as a page fault brings in") {
    fake::FakeDisk disk{numbered_blocks(4000)};
    BlockCache cache{disk, 0};
    ReadAhead filler;
    for (std::uint32_t block = 0; block < 2000; ++block) {
        REQUIRE(cache.find(block, 4000, filler));
    }
    for (std::uint32_t old = 1600; old < 1990; ++old) {
        ReadAhead single;
        const auto page = cache.find(old, 4000, single);
        ReadAhead ahead{.next = 2000 + old};
        for (std::uint32_t block = 2000 + old; block < 2000 + old + 10; ++block) {
            REQUIRE(cache.find(std::min(block, 3999U), 4000, ahead));
        }
        REQUIRE(number_in(page) == old);
    }
}

TEST_CASE("a block that is kept stays where it is") {
    fake::FakeDisk disk{numbered_blocks(4000)};
    BlockCache cache{disk, 0};
    ReadAhead ahead;
    const auto kept = cache.keep(5, 4000, ahead);
    for (std::uint32_t block = 0; block < 4000; ++block) {
        REQUIRE(cache.find(block, 4000, ahead));
    }
    ReadAhead single;
    CHECK(*cache.find(5, 0, single) == *kept);
    CHECK(number_in(kept) == 5);
}

TEST_CASE("what cannot be read is an error, and the next try another chance") {
    fake::FakeDisk disk{numbered_blocks(100)};
    BlockCache cache{disk, 0};
    ReadAhead single;
    SUBCASE("beyond the end of the disk") {
        CHECK(cache.find(100, 200, single).error() == Errno::uclean);
        CHECK(cache.find(UINT64_MAX, UINT64_MAX, single).error() == Errno::uclean);
    }
    SUBCASE("a sector that fails") {
        disk.broken.insert(50);
        CHECK(cache.find(50, 0, single).error() == Errno::io);
        disk.broken.clear();
        CHECK(number_in(cache.find(50, 0, single)) == 50);
    }
    SUBCASE("no memory") {
        fake::pages_left = 0;
        CHECK(cache.find(50, 0, single).error() == Errno::nomem);
        fake::pages_left = SIZE_MAX;
        CHECK(number_in(cache.find(50, 0, single)) == 50);
    }
}

}  // namespace
}  // namespace shoal::guest
