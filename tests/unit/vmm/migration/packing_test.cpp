#include "vmm/migration/packing.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "vmm/migration/page_run.h"

namespace shoal::migration {
namespace {

std::vector<std::byte> random_bytes(std::size_t size_bytes) {
    std::minstd_rand random{7};
    std::vector<std::byte> bytes(size_bytes);
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random() >> 8 & 0xFF); });
    return bytes;
}

TEST_CASE("a run of pages comes back as it was, in fewer bytes") {
    const std::vector<std::byte> bytes(max_run_pages * page_bytes, std::byte{7});
    Packer packer;
    for (const std::optional<std::uint32_t> drive : {std::optional<std::uint32_t>{}, {3}}) {
        const Frame frame = frame_of({5, max_run_pages, bytes, drive});
        const auto packed = packer.pack(frame);
        REQUIRE(packed);
        CHECK(packed->kind == FrameKind::packed);
        CHECK(packed->payload.size() < 1000);
        Frame unpacked;
        REQUIRE_FALSE(unpack(*packed, unpacked));
        CHECK(unpacked.kind == frame.kind);
        CHECK(unpacked.payload == frame.payload);
    }
}

TEST_CASE("what would not become shorter, or is no run with bytes, is not packed") {
    Packer packer;
    const auto bytes = random_bytes(2 * page_bytes);
    CHECK_FALSE(packer.pack(frame_of({5, 2, bytes})));
    CHECK_FALSE(packer.pack(frame_of({5, 2, {}})));
    CHECK_FALSE(packer.pack({FrameKind::state, std::vector<std::byte>(1000)}));
    CHECK_FALSE(packer.pack({FrameKind::pages, {}}));
    CHECK_FALSE(packer.pack({FrameKind::drive_pages, std::vector<std::byte>(1)}));
}

TEST_CASE("what is not a packed run of pages is refused") {
    const std::vector<std::byte> bytes(max_run_pages * page_bytes, std::byte{7});
    Packer packer;
    Frame packed = packer.pack(frame_of({5, max_run_pages, bytes})).value();
    SUBCASE("another kind of frame") {
        packed.kind = FrameKind::pages;
    }
    SUBCASE("another kind within") {
        packed.payload[0] = static_cast<std::byte>(FrameKind::state);
    }
    SUBCASE("a packed one within") {
        packed.payload[0] = static_cast<std::byte>(FrameKind::packed);
    }
    SUBCASE("nothing") {
        packed.payload.clear();
    }
    SUBCASE("no bytes") {
        packed.payload.resize(2);
        Frame empty;
        CHECK_FALSE(unpack(packed, empty));
        CHECK(read_page_run(empty, {256, {}}).error() == FrameError::malformed);
        return;
    }
    SUBCASE("cut off") {
        packed.payload.pop_back();
    }
    SUBCASE("more than a run may have") {
        // A larger frame of the kind that has the larger limit, said to be of the other.
        const Frame large = frame_of({5, max_run_pages, bytes, 0});
        packed = packer.pack(large).value();
        packed.payload[0] = static_cast<std::byte>(FrameKind::pages);
    }
    Frame unpacked;
    CHECK(unpack(packed, unpacked) == FrameError::malformed);
}

}  // namespace
}  // namespace shoal::migration
