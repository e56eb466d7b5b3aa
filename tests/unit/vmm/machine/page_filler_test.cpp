#include "vmm/machine/page_filler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "devices/abi/address_map.h"

namespace shoal::vmm {
namespace {

constexpr std::uint64_t memory_bytes = 1 << 20;
constexpr std::uint64_t frame_bytes = 4 * abi::page_size;

// Page n is full of n; every fourth is zeros.
std::byte byte_of(std::uint64_t page) {
    return page % 4 == 0 ? std::byte{} : static_cast<std::byte>(page);
}

class Frames final : public PageSource {
public:
    explicit Frames(std::atomic<unsigned>& reads) : reads_{reads} {}

    Pages read(std::uint64_t offset) override {
        ++reads_;
        const std::uint64_t start = offset / frame_bytes * frame_bytes;
        for (std::uint64_t at = 0; at < frame_bytes; ++at) {
            bytes_[at] = byte_of((start + at) / abi::page_size);
        }
        return {start, bytes_};
    }

private:
    std::atomic<unsigned>& reads_;
    std::vector<std::byte> bytes_ = std::vector<std::byte>(frame_bytes);
};

struct Filled {
    std::atomic<unsigned> reads = 0;
    machine::GuestMemory memory{memory_bytes};
    std::optional<PageFiller> filler;

    Filled() {
        memory.become_private_zeros();
        filler.emplace(memory, std::make_unique<Frames>(reads));
    }
    [[nodiscard]] bool is_right(std::uint64_t page) const {
        return std::ranges::all_of(memory.bytes().subspan(page * abi::page_size, abi::page_size),
                                   [&](std::byte byte) { return byte == byte_of(page); });
    }
};

TEST_CASE("a memory is filled as it is touched, a frame at a time") {
    Filled filled;
    CHECK(filled.reads == 0);
    CHECK(filled.is_right(5));
    CHECK(filled.reads == 1);
    for (std::uint64_t page = 4; page < 8; ++page) {
        CHECK(filled.is_right(page));
    }
    CHECK(filled.reads == 1);
    CHECK(filled.is_right(memory_bytes / abi::page_size - 1));
    CHECK(filled.reads == 2);
}

TEST_CASE("what was written and what was discarded is not filled again") {
    Filled filled;
    const std::uint64_t written = 42;
    REQUIRE(filled.memory.write(machine::Gpa{4 * abi::page_size}, written));
    REQUIRE(filled.memory.discard(machine::Gpa{9 * abi::page_size}, abi::page_size));
    CHECK(filled.is_right(10));  // of the same frame as the page that is another mapping now
    CHECK(filled.memory.bytes()[9 * abi::page_size] == std::byte{});
    CHECK(*filled.memory.read<std::uint64_t>(machine::Gpa{4 * abi::page_size}) == written);
}

TEST_CASE("a frame with a discarded page in its midst is filled around it") {
    Filled filled;
    REQUIRE(filled.memory.discard(machine::Gpa{10 * abi::page_size}, abi::page_size));
    CHECK(filled.is_right(9));
    CHECK(filled.is_right(8));
    CHECK(filled.is_right(11));
    CHECK(filled.memory.bytes()[10 * abi::page_size] == std::byte{});
    CHECK(filled.reads == 1);
    SUBCASE("and one of zeros") {
        REQUIRE(filled.memory.discard(machine::Gpa{13 * abi::page_size}, 2 * abi::page_size));
        CHECK(filled.is_right(12));
        CHECK(filled.is_right(15));
    }
}

TEST_CASE("what was filled and then discarded reads as zeros, and nobody is asked for it again") {
    Filled filled;
    CHECK(filled.is_right(9));
    const auto reads = filled.reads.load();
    REQUIRE(filled.memory.discard(machine::Gpa{9 * abi::page_size}, abi::page_size));
    CHECK(filled.memory.bytes()[9 * abi::page_size] == std::byte{});
    CHECK(filled.is_right(10));
    CHECK(filled.reads == reads);
}

TEST_CASE("threads that want the same pages at the same time all get them") {
    Filled filled;
    std::atomic<unsigned> wrong = 0;
    {
        std::vector<std::jthread> threads;
        for (int count = 0; count < 4; ++count) {
            threads.emplace_back([&] {
                for (std::uint64_t page = 0; page < memory_bytes / abi::page_size; ++page) {
                    wrong += filled.is_right(page) ? 0 : 1;
                }
            });
        }
    }
    CHECK(wrong == 0);
}

}  // namespace
}  // namespace shoal::vmm
