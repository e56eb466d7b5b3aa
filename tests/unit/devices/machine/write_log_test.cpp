// What this process writes into a guest's memory is told to who copies it.
#include "devices/machine/write_log.h"

#include <doctest/doctest.h>

#include <array>
#include <vector>

#include "devices/machine/guest_memory.h"

namespace shoal::machine {
namespace {

constexpr std::uint64_t page = 4096;
constexpr std::uint64_t mib = 1 << 20;

using Bitmap = std::array<std::uint64_t, mib / page / 64>;

// What one take() brings, in order.
std::vector<std::uint64_t> taken_pages(const GuestMemory& memory) {
    Bitmap bitmap{};
    memory.write_log().take(bitmap);
    std::vector<std::uint64_t> pages;
    for (std::uint64_t idx = 0; idx < mib / page; ++idx) {
        if ((bitmap[idx / 64] >> idx % 64 & 1) != 0) {
            pages.push_back(idx);
        }
    }
    return pages;
}

TEST_CASE("a write log has the pages of what was written since the last call") {
    const GuestMemory memory{mib};
    REQUIRE(memory.write(Gpa{0}, 1U));
    CHECK(taken_pages(memory).empty());  // it is off
    memory.write_log().start();
    CHECK(taken_pages(memory).empty());
    REQUIRE(memory.write(Gpa{page - 2}, 1U));
    REQUIRE(memory.write(Gpa{mib - 4}, 1U));
    CHECK(taken_pages(memory) == std::vector<std::uint64_t>{0, 1, mib / page - 1});
    CHECK(taken_pages(memory).empty());
    memory.log_write(memory.slice(Gpa{63 * page}, 2 * page).value());
    memory.log_write(memory.slice(Gpa{63 * page}, 0).value());
    CHECK(taken_pages(memory) == std::vector<std::uint64_t>{63, 64});
}

TEST_CASE("a write log has discarded pages, and starts with nothing") {
    const GuestMemory memory{mib};
    memory.write_log().start();
    REQUIRE(memory.discard(Gpa{2 * page}, page));
    CHECK(taken_pages(memory) == std::vector<std::uint64_t>{2});
    REQUIRE(memory.write(Gpa{0}, 1U));
    memory.write_log().stop();
    REQUIRE(memory.write(Gpa{page}, 1U));
    memory.write_log().start();
    CHECK(taken_pages(memory).empty());
}

TEST_CASE("what was in a bitmap stays there") {
    const GuestMemory memory{mib};
    memory.write_log().start();
    REQUIRE(memory.write(Gpa{0}, 1U));
    Bitmap bitmap{};
    bitmap[0] = 4;
    memory.write_log().take(bitmap);
    CHECK(bitmap[0] == 5);
}

}  // namespace
}  // namespace shoal::machine
