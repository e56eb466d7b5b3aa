#include "vmm/machine/page_set.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "devices/abi/address_map.h"

namespace shoal::vmm {
namespace {

using machine::Gpa;
using machine::GuestMemory;

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t page_bytes = abi::page_size;

TEST_CASE("the touched pages of a memory are known without touching the others") {
    const GuestMemory memory{4 * mib};
    CHECK(count_pages(touched_pages(memory)) == 0);
    REQUIRE(memory.write(Gpa{3 * page_bytes}, 1U));
    REQUIRE(memory.write(Gpa{4 * mib - 4}, 0U));
    const PageSet pages = touched_pages(memory);
    CHECK(pages.size() == 16);
    CHECK(pages.front() == 8);
    CHECK(pages.back() == 1ULL << 63);
    CHECK(count_pages(pages) == 2);
    CHECK(touched_pages(memory) == pages);
}

TEST_CASE("a memory with no whole word of pages has no bits behind its last page") {
    const GuestMemory memory{mib + page_bytes};
    std::ranges::fill(memory.slice(Gpa{0}, mib + page_bytes).value(), std::byte{1});
    const PageSet pages = touched_pages(memory);
    CHECK(pages.size() == 5);
    CHECK(pages.back() == 1);
}

TEST_CASE("of a copy the touched pages are the file's and its own") {
    host::UniqueFd file{::memfd_create("test", MFD_CLOEXEC)};
    REQUIRE(::ftruncate(file.get(), 4 * mib) == 0);
    constexpr char byte = 1;
    REQUIRE(::pwrite(file.get(), &byte, 1, 2 * page_bytes) == 1);
    const GuestMemory memory{4 * mib, std::move(file)};
    REQUIRE(memory.write(Gpa{70 * page_bytes}, 1U));
    const PageSet pages = touched_pages(memory);
    CHECK(count_pages(pages) == 2);
    CHECK(pages[0] == 4);
    CHECK(pages[1] == 1 << 6);
    REQUIRE(memory.discard(Gpa{2 * page_bytes}, page_bytes));
    CHECK(touched_pages(memory) == pages);  // the file's page is hidden, not gone
}

TEST_CASE("the pages of a copy that are mapped are those that somebody touched, and neighbours") {
    host::UniqueFd file{::memfd_create("test", MFD_CLOEXEC)};
    REQUIRE(::ftruncate(file.get(), 4 * mib) == 0);
    const GuestMemory memory{4 * mib, std::move(file)};
    CHECK(count_pages(mapped_pages(memory)) == 0);
    CHECK(memory.bytes()[3 * page_bytes] == std::byte{});
    REQUIRE(memory.write(Gpa{70 * page_bytes}, 1U));
    const PageSet pages = mapped_pages(memory);
    CHECK((pages[0] & 8) != 0);
    CHECK((pages[1] & 1 << 6) != 0);
    CHECK(count_pages(pages) <= 2 * 16);
    REQUIRE(memory.discard(Gpa{70 * page_bytes}, page_bytes));
    CHECK((mapped_pages(memory)[1] & 1 << 6) == 0);
}

TEST_CASE("of memory of huge pages those are touched that the host has put there") {
    GuestMemory memory{4 * mib};
    memory.become_huge_pages();
    CHECK(count_pages(touched_pages(memory)) == 0);
    REQUIRE(memory.write(Gpa{3 * page_bytes}, 1U));
    const PageSet pages = touched_pages(memory);
    CHECK((pages[0] & 8) != 0);
    // One, or all of its 2 MiB.
    CHECK((count_pages(pages) == 1 || count_pages(pages) == 512));
    CHECK(pages[8] == 0);
    REQUIRE(memory.discard(Gpa{0}, 4 * mib));
    CHECK(count_pages(touched_pages(memory)) == 0);
}

TEST_CASE("of memory that others fill all pages count as touched") {
    GuestMemory memory{mib};
    memory.become_filled_by_others();
    CHECK(count_pages(touched_pages(memory)) == 256);
}

TEST_CASE("of a memory that became private the memfd keeps only what is not replaced") {
    GuestMemory memory{mib};
    for (unsigned page = 0; page < 16; ++page) {
        REQUIRE(memory.write(Gpa{page * page_bytes}, page + 1));
    }
    const auto memfd_pages = [&] {
        return count_pages(pages_with_data(memory.content_fd(), memory.size_bytes()));
    };
    const auto value = [&](unsigned page) {
        return memory.read<unsigned>(Gpa{page * page_bytes}).value();
    };
    SUBCASE("one that is shared keeps all") {
        free_replaced(memory);
        CHECK(memfd_pages() == 16);
        return;
    }
    static_cast<void>(memory.make_private());
    for (unsigned page = 8; page < 16; ++page) {
        CHECK(value(page) == page + 1);  // read, and mapped, and not replaced
    }
    REQUIRE(memory.write(Gpa{0}, 100U));
    REQUIRE(memory.write(Gpa{5 * page_bytes}, 105U));
    REQUIRE(memory.write(Gpa{40 * page_bytes}, 140U));
    REQUIRE(memory.discard(Gpa{6 * page_bytes}, 2 * page_bytes));
    REQUIRE(memory.write(Gpa{7 * page_bytes}, 107U));
    CHECK(memfd_pages() == 16);
    for (int count = 0; count < 2; ++count) {
        free_replaced(memory);
        CHECK(memfd_pages() == 12);
        CHECK(value(0) == 100);
        CHECK(value(5) == 105);
        CHECK(value(6) == 0);
        CHECK(value(7) == 107);
        CHECK(value(40) == 140);
        for (unsigned page : {1U, 2U, 3U, 4U, 8U, 15U}) {
            CHECK(value(page) == page + 1);
        }
    }
    REQUIRE(memory.write(Gpa{15 * page_bytes}, 115U));
    free_replaced(memory);
    CHECK(memfd_pages() == 11);
    CHECK(value(15) == 115);
}

TEST_CASE("a file that others may have, too, keeps what a copy of it has replaced") {
    host::UniqueFd file{::memfd_create("test", MFD_CLOEXEC)};
    REQUIRE(::ftruncate(file.get(), mib) == 0);
    constexpr char byte = 1;
    REQUIRE(::pwrite(file.get(), &byte, 1, 0) == 1);
    GuestMemory memory{mib, std::move(file)};
    REQUIRE(memory.write(Gpa{0}, 7U));
    static_cast<void>(memory.make_private());
    free_replaced(memory);
    CHECK(count_pages(pages_with_data(memory.content_fd(), mib)) == 1);
}

TEST_CASE("the neighbours of a set are found in order, over the ends of words") {
    PageSet pages = empty_set(mib);
    CHECK_FALSE(next_range(pages, 0));
    pages = {1ULL << 63 | 1, 1, 0, 1ULL << 63};
    std::uint64_t at = 0;
    for (const auto& [first, end] : {PageRange{0, 1}, PageRange{63, 65}, PageRange{255, 256}}) {
        const auto range = next_range(pages, at);
        REQUIRE(range);
        CHECK(range->first == first);
        CHECK(range->end == end);
        at = range->end;
    }
    CHECK_FALSE(next_range(pages, at));
    const auto within = next_range(pages, 64);
    REQUIRE(within);
    CHECK(within->first == 64);
    const PageSet all(4, ~0ULL);
    REQUIRE(next_range(all, 7));
    CHECK(next_range(all, 7)->first == 7);
    CHECK(next_range(all, 7)->end == 256);
    add_pages(pages, all);
    CHECK(pages == all);
}

}  // namespace
}  // namespace shoal::vmm
