#include "vmm/migration/page_scan.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "vmm/migration/page_run.h"

namespace shoal::migration {
namespace {

constexpr std::uint64_t total_pages = 200;  // the last word is not full

struct Memory final : PageContent {
    Memory() : PageContent{{}, total_pages} {}
    [[nodiscard]] PageSet data() const override { return {}; }
    void take_written(PageSet&) override {}
    [[nodiscard]] std::span<const std::byte> read(std::uint64_t first_page, std::uint64_t count,
                                                  std::span<std::byte>) const override {
        return std::span{bytes}.subspan(first_page * page_bytes, count * page_bytes);
    }

    std::vector<std::byte> bytes = std::vector<std::byte>(total_pages * page_bytes);
    std::vector<std::uint64_t> wanted = std::vector<std::uint64_t>((total_pages + 63) / 64);

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
    for (auto run = scan.next(); run; run = scan.next()) {
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
        for (std::uint64_t idx = 0; idx < total_pages; ++idx) {
            if (random() % 3 != 0) {
                source.page(idx)[random() % page_bytes] = std::byte{1};
            }
            if (random() % 4 != 0) {
                source.want(idx);
                ++wanted;
            }
        }
        const Memory before = source;
        CHECK(apply(PageScan{source, source.wanted}, target) == wanted);
        for (std::uint64_t idx = 0; idx < total_pages; ++idx) {
            CAPTURE(idx);
            CHECK((std::ranges::equal(target.page(idx), source.page(idx)) == before.wants(idx)));
        }
        CHECK(std::ranges::all_of(source.wanted, [](std::uint64_t word) { return word == 0; }));
    }
}

TEST_CASE("each stripe takes its pages and leaves the others'") {
    Memory memory;
    for (std::uint64_t idx = 0; idx < total_pages; ++idx) {
        memory.want(idx);
    }
    const std::vector<std::uint64_t> before = memory.wanted;
    std::uint64_t named = 0;
    for (std::size_t idx = 0; idx < 3; ++idx) {
        PageScan scan{memory, memory.wanted, {idx, 3}};
        while (const auto run = scan.next()) {
            CHECK(run->first_page / 64 % 3 == idx);
            CHECK(run->first_page / 64 == (run->first_page + run->page_count - 1) / 64);
            named += run->page_count;
        }
        CHECK(memory.wanted[idx] == 0);
        CHECK((idx == 2 || memory.wanted[idx + 1] == before[idx + 1]));
    }
    CHECK(named == total_pages);
}

TEST_CASE("a page is zero only when its first and its last byte are, too") {
    for (const std::size_t at : {std::size_t{0}, std::size_t{1}, page_bytes - 1}) {
        Memory memory;
        memory.page(199)[at] = std::byte{1};
        memory.want(199);
        PageScan scan{memory, memory.wanted};
        const auto run = scan.next();
        REQUIRE(run);
        CHECK(run->bytes.size() == page_bytes);
    }
}

TEST_CASE("a run of zero pages costs a few bytes") {
    Memory memory;
    for (std::uint64_t idx = max_run_pages; idx < 2 * max_run_pages; ++idx) {
        memory.want(idx);
    }
    PageScan scan{memory, memory.wanted};
    const auto run = scan.next();
    REQUIRE(run);
    CHECK(run->bytes.empty());
    CHECK(run->first_page == max_run_pages);
    CHECK(run->page_count == max_run_pages);
    CHECK(frame_of(*run).payload.size() == 16);
    CHECK_FALSE(scan.next());
}

}  // namespace
}  // namespace shoal::migration
