#include "vmm/state/memory_mark.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace shoal::state {
namespace {

constexpr std::uint64_t memory_bytes = 65 * 4096;

TEST_CASE("a mark comes back from its bytes") {
    const SnapshotId id{std::byte{1}};
    const auto whole = parse_mark(encode({id, {}}), memory_bytes);
    REQUIRE(whole);
    CHECK(whole->id == id);
    CHECK_FALSE(whole->difference);
    const SnapshotId base{std::byte{2}};
    const vmm::PageSet pages{1ULL << 63, 1};
    const auto part = parse_mark(encode({id, Difference{base, pages}}), memory_bytes);
    REQUIRE(part);
    CHECK(part->id == id);
    REQUIRE(part->difference);
    CHECK(part->difference->base == base);
    CHECK(part->difference->pages == pages);
}

TEST_CASE("what is no mark is none") {
    const std::vector<std::byte> good = encode({SnapshotId{}, Difference{SnapshotId{}, {3, 1}}});
    std::vector<std::byte> bytes = good;
    std::uint64_t of_bytes = memory_bytes;
    SUBCASE("nothing") {
        bytes.clear();
    }
    SUBCASE("a byte too few") {
        bytes.pop_back();
    }
    SUBCASE("a byte too many") {
        bytes.emplace_back();
    }
    SUBCASE("another word in front") {
        bytes.front() = std::byte{'s'};
    }
    SUBCASE("of a smaller memory") {
        of_bytes = 64 * 4096;
    }
    SUBCASE("of a larger memory") {
        of_bytes = 129 * 4096;
    }
    SUBCASE("a page behind the memory") {
        bytes[bytes.size() - 8] = std::byte{2};
    }
    SUBCASE("a whole one's word in front of a difference") {
        std::copy_n(encode({SnapshotId{}, {}}).begin(), 8, bytes.begin());
    }
    CHECK_FALSE(parse_mark(bytes, of_bytes));
    CHECK(parse_mark(good, memory_bytes));
}

}  // namespace
}  // namespace shoal::state
