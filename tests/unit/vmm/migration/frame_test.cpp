#include "vmm/migration/frame.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "vmm/migration/page_run.h"

namespace shoal::migration {
namespace {

constexpr std::uint64_t memory_pages = 256;
const PageCounts counts{memory_pages, {16}};
constexpr std::size_t kind_at = 2;
constexpr std::size_t length_at = 4;

std::vector<std::byte> pattern(std::size_t size_bytes) {
    std::vector<std::byte> bytes(size_bytes);
    std::ranges::generate(bytes, [next = 0]() mutable { return std::byte(next++ * 7 & 0xFF); });
    return bytes;
}

Frame pages_frame(std::uint64_t first_page, std::span<const std::byte> bytes) {
    return frame_of({first_page, bytes.size() / page_bytes, bytes});
}

FrameError error_of(std::span<const std::byte> bytes) {
    FrameReader reader;
    reader.add(bytes);
    Frame frame;
    const auto taken = reader.take(frame);
    REQUIRE_FALSE(taken.has_value());
    CHECK(reader.take(frame).error() == taken.error());
    return taken.error();
}

TEST_CASE("frames come back as they were from pieces of any size") {
    std::vector<std::byte> stream = encode(pages_frame(3, pattern(2 * page_bytes)));
    std::ranges::copy(encode({FrameKind::commit, {}}), std::back_inserter(stream));
    for (const std::size_t piece_bytes : {1UZ, 11UZ, 4096UZ, stream.size()}) {
        CAPTURE(piece_bytes);
        FrameReader reader;
        std::vector<Frame> frames;
        for (std::size_t at = 0; at < stream.size(); at += piece_bytes) {
            const std::span rest = std::span{stream}.subspan(at);
            reader.add(rest.first(std::min(piece_bytes, rest.size())));
            for (Frame frame; reader.take(frame).value() == Taken::frame;) {
                frames.push_back(frame);
            }
        }
        REQUIRE(frames.size() == 2);
        CHECK(frames[1].kind == FrameKind::commit);
        const auto run = read_page_run(frames[0], counts);
        REQUIRE(run.has_value());
        CHECK(run->first_page == 3);
        CHECK(run->page_count == 2);
        CHECK(std::ranges::equal(run->bytes, pattern(2 * page_bytes)));
    }
}

TEST_CASE("no bit of a frame can change unnoticed") {
    const auto good = encode(frame_of({1, 2, {}}));
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
        CAPTURE(bit);
        auto bytes = good;
        bytes[bit / 8] ^= std::byte{1} << bit % 8;
        FrameReader reader;
        reader.add(bytes);
        Frame frame;
        const auto taken = reader.take(frame);
        // A shorter or longer payload may leave the reader waiting, but never with a frame.
        CHECK_FALSE((taken.has_value() && *taken == Taken::frame));
    }
}

TEST_CASE("a frame that is too long for its kind is refused by its head alone") {
    auto bytes = encode({FrameKind::commit, {}});
    bytes[length_at] = std::byte{1};
    CHECK(error_of(bytes) == FrameError::too_long);
}

TEST_CASE("other versions and unknown kinds are refused") {
    auto bytes = encode({FrameKind::commit, {}});
    bytes[kind_at] = std::byte{99};
    CHECK(error_of(bytes) == FrameError::unknown_kind);
    bytes[0] = std::byte{2};
    CHECK(error_of(bytes) == FrameError::unknown_version);
}

TEST_CASE("pages outside of the guest's memory are refused, also where numbers wrap") {
    const auto one_page = pattern(page_bytes);
    CHECK(read_page_run(pages_frame(memory_pages - 1, one_page), counts).has_value());
    CHECK(read_page_run(pages_frame(memory_pages, one_page), counts).error() ==
          FrameError::out_of_range);
    CHECK(read_page_run(frame_of({1, UINT64_MAX, {}}), counts).error() == FrameError::out_of_range);
    CHECK(read_page_run(frame_of({UINT64_MAX, 1, {}}), counts).error() == FrameError::out_of_range);
}

TEST_CASE("pages of a drive are those of a drive that was announced, and within it") {
    const auto one_page = pattern(page_bytes);
    const Frame frame = frame_of({15, 1, one_page, 0});
    const auto run = read_page_run(frame, counts);
    REQUIRE(run.has_value());
    CHECK(run->drive == 0U);
    CHECK(std::ranges::equal(run->bytes, one_page));
    CHECK(read_page_run(frame_of({16, 1, one_page, 0}), counts).error() ==
          FrameError::out_of_range);
    CHECK(read_page_run(frame_of({0, 1, one_page, 1}), counts).error() ==
          FrameError::unknown_drive);
    CHECK(read_page_run(frame_of({0, 16, {}, 0}), counts)->page_count == 16);
    CHECK(read_page_run(frame_of({0, max_run_pages + 1, {}, 0}), counts).error() ==
          FrameError::malformed);
    CHECK(read_page_run({FrameKind::drive_pages, std::vector<std::byte>(12)}, counts).error() ==
          FrameError::malformed);
}

TEST_CASE("a run of pages that are not whole is refused") {
    Frame frame = pages_frame(0, pattern(page_bytes));
    frame.payload.pop_back();
    CHECK(read_page_run(frame, counts).error() == FrameError::malformed);
    frame.payload.resize(sizeof(std::uint64_t));
    CHECK(read_page_run(frame, counts).error() == FrameError::malformed);
    CHECK(read_page_run({FrameKind::commit, {}}, counts).error() == FrameError::malformed);
}

}  // namespace
}  // namespace shoal::migration
