#include "vmm/migration/page_store.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "devices/abi/address_map.h"

namespace shoal::migration {
namespace {

using machine::Gpa;
using machine::GuestMemory;

constexpr std::uint64_t mib = 1 << 20;

TEST_CASE("pages are put at their places, and zeros give them back") {
    const GuestMemory memory{mib};
    const PageStore store{memory};
    CHECK(store.page_count() == 256);
    const std::vector<std::byte> bytes(2 * page_bytes, std::byte{7});
    CHECK(store.put({254, 2, bytes}));
    CHECK(memory.bytes()[mib - 1] == std::byte{7});
    CHECK(memory.bytes()[254 * page_bytes - 1] == std::byte{0});
    CHECK(store.put({255, 1, {}}));
    CHECK(memory.bytes()[mib - 1] == std::byte{0});
    CHECK(memory.bytes()[255 * page_bytes - 1] == std::byte{7});
    CHECK(store.put({256, 0, {}}));
}

TEST_CASE("a run may lie on both sides of the hole below 4 GiB") {
    const GuestMemory memory{abi::ram_hole_start + 2 * mib};
    const PageStore store{memory};
    const std::uint64_t first = abi::ram_hole_start / page_bytes - 1;
    std::vector<std::byte> bytes(2 * page_bytes, std::byte{7});
    bytes.back() = std::byte{9};
    CHECK(store.put({first, 2, bytes}));
    CHECK(memory.read<std::uint8_t>(Gpa{abi::ram_hole_start - 1}) == 7);
    CHECK(memory.read<std::uint8_t>(Gpa{abi::ram_hole_end + page_bytes - 1}) == 9);
    CHECK(store.put({first, 2, {}}));
    CHECK(memory.read<std::uint8_t>(Gpa{abi::ram_hole_end + page_bytes - 1}) == 0);
}

}  // namespace
}  // namespace shoal::migration
