#include "vmm/machine/page_filler.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <stdexcept>
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

    // The last one is damaged.
    Pages read(std::uint64_t offset) override {
        ++reads_;
        const std::uint64_t start = offset / frame_bytes * frame_bytes;
        if (start == memory_bytes - frame_bytes) {
            throw std::runtime_error("damaged");
        }
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

    explicit Filled(std::vector<std::uint32_t> ahead = {}) {
        memory.become_filled_by_others();
        filler.emplace(memory, std::make_unique<Frames>(reads), std::move(ahead));
    }
    // So many reads in all, without anybody waiting for one.
    void wait_for_reads(unsigned count) const {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        while (reads < count) {
            REQUIRE(std::chrono::steady_clock::now() < deadline);
            std::this_thread::yield();
        }
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
    CHECK(filled.is_right(memory_bytes / abi::page_size - 5));
    CHECK(filled.reads == 2);
}

TEST_CASE("what is wanted is told in its order, by the first page of what came") {
    const Filled filled;
    for (const std::uint64_t page : {14U, 1U, 15U, 41U}) {
        CHECK(filled.is_right(page));
    }
    // The last one is noted after whoever waited goes on.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (filled.filler->wanted().size() < 3) {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
    }
    CHECK(filled.filler->wanted() == std::vector<std::uint32_t>{12, 0, 40});
}

TEST_CASE("pages are read ahead once each, and nobody waits for them") {
    const Filled filled{{13, 200, 14, 12, 13, 0}};
    filled.wait_for_reads(3);
    for (const std::uint64_t page : {0U, 3U, 12U, 15U, 200U, 203U}) {
        CHECK(filled.is_right(page));
    }
    CHECK(filled.reads == 3);
    CHECK(filled.is_right(16));
    CHECK(filled.reads == 4);
    CHECK(filled.filler->wanted().size() <= 4);  // who was as fast has waited
}

TEST_CASE("reading ahead ends at what cannot be had, and nothing is lost") {
    const Filled filled{{4, memory_bytes / abi::page_size - 1, 40}};
    filled.wait_for_reads(2);
    CHECK(filled.is_right(4));
    CHECK(filled.reads == 2);
    CHECK(filled.is_right(40));
    CHECK(filled.reads == 3);
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
                for (std::uint64_t page = 0; page < memory_bytes / abi::page_size - 4; ++page) {
                    wrong += filled.is_right(page) ? 0 : 1;
                }
            });
        }
    }
    CHECK(wrong == 0);
}

}  // namespace
}  // namespace shoal::vmm
