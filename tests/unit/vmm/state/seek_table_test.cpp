#include "vmm/state/seek_table.h"

#include <doctest/doctest.h>

#include <cstring>

#include "vmm/state/state_error.h"

namespace shoal::state {
namespace {

const std::vector<FrameSizes> frames{{21, 65536}, {0xFFFFFFFF, 65536}, {33, 24}};

TEST_CASE("a seek table is as zstd's seekable format says, and comes back") {
    const auto table = encode_seek_table(frames);
    REQUIRE(table.size() == seek_table_bytes(frames.size()));
    const auto word = [&](std::size_t at) {
        std::uint32_t value = 0;
        std::memcpy(&value, table.data() + at, sizeof value);
        return value;
    };
    CHECK(word(0) == 0x184D2A5E);
    CHECK(word(4) == table.size() - 8);
    CHECK(word(8) == 21);
    CHECK(word(12) == 65536);
    CHECK(word(table.size() - 9) == 3);
    CHECK(table[table.size() - 5] == std::byte{0});
    CHECK(word(table.size() - 4) == 0x8F92EAB1);
    CHECK(read_frame_count(std::span{table}.last(seek_table_end_bytes)) == 3);
    CHECK(decode_seek_table(table) == frames);
}

TEST_CASE("what is no seek table is refused") {
    auto table = encode_seek_table(frames);
    SUBCASE("nothing") {
        table.clear();
    }
    SUBCASE("only an end") {
        table.erase(table.begin(), table.end() - 9);
    }
    SUBCASE("one byte too few") {
        table.erase(table.begin());
    }
    SUBCASE("one byte too many") {
        table.insert(table.begin(), std::byte{});
    }
    SUBCASE("another magic number at the beginning") {
        table[0] ^= std::byte{1};
    }
    SUBCASE("another length") {
        table[4] ^= std::byte{1};
    }
    SUBCASE("more frames than there are") {
        table[table.size() - 9] = std::byte{4};
    }
    SUBCASE("as many frames as can be said") {
        std::memset(table.data() + table.size() - 9, 0xFF, 4);
    }
    SUBCASE("checksums, which ours has not") {
        table[table.size() - 5] = std::byte{0x80};
    }
    SUBCASE("another magic number at the end") {
        table.back() ^= std::byte{1};
    }
    CHECK_THROWS_AS(static_cast<void>(decode_seek_table(table)), StateError);
}

}  // namespace
}  // namespace shoal::state
