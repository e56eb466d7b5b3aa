#include "vmm/migration/page_scan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "vmm/migration/page_run.h"

namespace shoal::migration {
namespace {

constexpr std::uint64_t page_count = 200;  // the last word is not full

struct Memory {
    std::vector<std::byte> bytes = std::vector<std::byte>(page_count * page_bytes);
    std::vector<std::uint64_t> wanted = std::vector<std::uint64_t>((page_count + 63) / 64);

    std::span<std::byte> page(std::uint64_t idx) {
        return std::span{bytes}.subspan(idx * page_bytes, page_bytes);
    }
    void want(std::uint64_t idx) { wanted[idx / 64] |= std::uint64_t{1} << idx % 64; }
    [[nodiscard]] bool wants(std::uint64_t idx) const {
        return (wanted[idx / 64] >> idx % 64 & 1) != 0;
    }
};

// What a destination makes of the frames. Returns how many pages they named.
std::uint64_t apply(PageScan scan, Memory& target) {
    std::uint64_t named = 0;
    for (auto frame = scan.next(); frame; frame = scan.next()) {
        const auto run = read_page_run(*frame, page_count);
        REQUIRE(run.has_value());
        CHECK(run->page_count <= max_run_pages);
        named += run->page_count;
        const auto bytes = std::span{target.bytes}.subspan(run->first_page * page_bytes,
                                                           run->page_count * page_bytes);
        if (run->bytes.empty()) {
            std::ranges::fill(bytes, std::byte{0});
        } else {
            std::ranges::copy(run->bytes, bytes.begin());
        }
    }
    return named;
}

TEST_CASE("exactly the wanted pages cross, whatever is in them") {
    for (std::uint32_t seed = 1; seed <= 50; ++seed) {
        CAPTURE(seed);
        std::minstd_rand random{seed};
        Memory source;
        Memory target;
        std::ranges::fill(target.bytes, std::byte{0xEE});
        std::uint64_t wanted = 0;
        for (std::uint64_t idx = 0; idx < page_count; ++idx) {
            if (random() % 3 != 0) {
                source.page(idx)[random() % page_bytes] = std::byte{1};
            }
            if (random() % 4 != 0) {
                source.want(idx);
                ++wanted;
            }
        }
        const Memory before = source;
        CHECK(apply(PageScan{source.bytes, source.wanted}, target) == wanted);
        for (std::uint64_t idx = 0; idx < page_count; ++idx) {
            CAPTURE(idx);
            CHECK((std::ranges::equal(target.page(idx), source.page(idx)) == before.wants(idx)));
        }
        CHECK(std::ranges::all_of(source.wanted, [](std::uint64_t word) { return word == 0; }));
    }
}

TEST_CASE("a page is zero only when its first and its last byte are, too") {
    for (const std::size_t at : {std::size_t{0}, std::size_t{1}, page_bytes - 1}) {
        Memory memory;
        memory.page(199)[at] = std::byte{1};
        memory.want(199);
        const auto frame = PageScan{memory.bytes, memory.wanted}.next();
        REQUIRE(frame);
        CHECK(frame->kind == FrameKind::pages);
    }
}

TEST_CASE("a run of zero pages costs a few bytes") {
    Memory memory;
    for (std::uint64_t idx = 10; idx < 10 + max_run_pages; ++idx) {
        memory.want(idx);
    }
    PageScan scan{memory.bytes, memory.wanted};
    const auto frame = scan.next();
    REQUIRE(frame);
    CHECK(frame->kind == FrameKind::zero_pages);
    CHECK(read_page_run(*frame, page_count)->page_count == max_run_pages);
    CHECK_FALSE(scan.next());
}

}  // namespace
}  // namespace shoal::migration
