// Guest memory: bounds, the hole below 4 GiB, addresses that wrap.
#include "devices/machine/guest_memory.h"

#include <doctest/doctest.h>

#include <array>
#include <stdexcept>

#include "devices/abi/address_map.h"

namespace shoal::machine {
namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t largest = ~0ULL;

TEST_CASE("memory below the hole is one region from 0") {
    const GuestMemory memory{mib};
    REQUIRE(memory.regions().size() == 1);
    CHECK(memory.regions()[0].start == Gpa{0});
    CHECK(memory.regions()[0].bytes.size() == mib);
    CHECK(memory.regions()[0].file_offset == 0);
    CHECK(memory.size_bytes() == mib);
}

TEST_CASE("memory as large as the hole's start is still one region") {
    const GuestMemory memory{abi::ram_hole_start};
    CHECK(memory.regions().size() == 1);
    CHECK(memory.slice(Gpa{abi::ram_hole_start - 1}, 1));
    CHECK_FALSE(memory.slice(Gpa{abi::ram_hole_start}, 1));
}

TEST_CASE("memory beyond the hole continues at 4 GiB, in the same file") {
    const GuestMemory memory{abi::ram_hole_start + 2 * mib};
    REQUIRE(memory.regions().size() == 2);
    CHECK(memory.regions()[1].start == Gpa{abi::ram_hole_end});
    CHECK(memory.regions()[1].bytes.size() == 2 * mib);
    CHECK(memory.regions()[1].file_offset == abi::ram_hole_start);

    CHECK(memory.write(Gpa{abi::ram_hole_end}, std::uint32_t{0xABCD}));
    CHECK(memory.read<std::uint32_t>(Gpa{abi::ram_hole_end}).value() == 0xABCD);
    CHECK(memory.slice(Gpa{abi::ram_hole_end + 2 * mib - 1}, 1));
    CHECK_FALSE(memory.slice(Gpa{abi::ram_hole_end + 2 * mib - 1}, 2));
    SUBCASE("nothing lies in the hole or reaches over its edges") {
        CHECK_FALSE(memory.slice(Gpa{abi::ram_hole_start}, 1));
        CHECK_FALSE(memory.slice(Gpa{abi::ram_hole_start - 4}, 5));
        CHECK_FALSE(memory.slice(Gpa{abi::ram_hole_end - 1}, 1));
        CHECK_FALSE(memory.slice(Gpa{abi::ram_hole_end - 1}, 2));
        CHECK_FALSE(memory.slice(Gpa{0}, abi::ram_hole_end + mib));
        CHECK_FALSE(memory.read<std::uint64_t>(Gpa{abi::ram_hole_start - 7}));
    }
}

TEST_CASE("new memory reads as zeros, and what is written is read back") {
    const GuestMemory memory{mib};
    CHECK(memory.read<std::uint64_t>(Gpa{mib - 8}).value() == 0);
    CHECK(memory.write(Gpa{mib - 8}, std::uint64_t{0x1122334455667788}));
    CHECK(memory.read<std::uint64_t>(Gpa{mib - 8}).value() == 0x1122334455667788);
    CHECK(memory.read<std::uint8_t>(Gpa{mib - 8}).value() == 0x88);
    SUBCASE("at addresses of any alignment") {
        CHECK(memory.write(Gpa{4093}, std::uint32_t{0x01020304}));
        CHECK(memory.read<std::uint32_t>(Gpa{4093}).value() == 0x01020304);
    }
}

TEST_CASE("a range that is not all RAM is refused and nothing is written") {
    const GuestMemory memory{mib};
    CHECK(memory.slice(Gpa{0}, mib));
    CHECK(memory.slice(Gpa{mib}, 0));
    CHECK_FALSE(memory.slice(Gpa{0}, mib + 1));
    CHECK_FALSE(memory.slice(Gpa{1}, mib));
    CHECK_FALSE(memory.slice(Gpa{mib + 1}, 0));
    CHECK_FALSE(memory.slice(Gpa{mib - 1}, 2));
    CHECK(memory.slice(Gpa{mib}, 1).error() == MemoryError::out_of_range);

    const std::array<std::byte, 4> bytes{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
    CHECK_FALSE(memory.write_bytes(Gpa{mib - 3}, bytes));
    CHECK(memory.read<std::uint8_t>(Gpa{mib - 3}).value() == 0);
    CHECK(memory.write_bytes(Gpa{mib - 4}, bytes));
    CHECK(memory.read<std::uint8_t>(Gpa{mib - 1}).value() == 4);
}

TEST_CASE("sizes and addresses that wrap are refused") {
    const GuestMemory memory{abi::ram_hole_start + mib};
    CHECK_FALSE(memory.slice(Gpa{largest}, 1));
    CHECK_FALSE(memory.slice(Gpa{largest}, largest));
    CHECK_FALSE(memory.slice(Gpa{1}, largest));
    CHECK_FALSE(memory.slice(Gpa{abi::ram_hole_end + 1}, largest));
    CHECK_FALSE(memory.slice(Gpa{largest - 3}, 8));
    CHECK_FALSE(memory.read<std::uint64_t>(Gpa{largest - 7}));
}

TEST_CASE("sizes that are no memory are refused") {
    CHECK_THROWS_AS(GuestMemory{0}, std::invalid_argument);
    CHECK_THROWS_AS(GuestMemory{mib - 4096}, std::invalid_argument);
    CHECK_THROWS_AS(GuestMemory{mib + 1}, std::invalid_argument);
    CHECK_THROWS_AS(GuestMemory{largest - 4095}, std::system_error);
    CHECK_THROWS_AS(GuestMemory{1ULL << 60}, std::system_error);
}

}  // namespace
}  // namespace shoal::machine
