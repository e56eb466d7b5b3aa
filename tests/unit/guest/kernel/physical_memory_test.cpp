// PhysicalMemory over RAM of this process, which lies where the kernel sees it.
#include "guest/kernel/physical_memory.h"

#include <doctest/doctest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "guest/kernel/page_table.h"

namespace {

constexpr std::uint64_t ram_start = NUB_TABLES_START;
constexpr std::uint64_t ram_bytes = 8 * shoal::guest::large_page_size;

std::uint64_t tables_end = 0;

}  // namespace

extern "C" {
// NOLINTNEXTLINE: of the nub's, changed by the test
volatile std::uint64_t shoal_tables_next_of_test = 0;
extern const volatile std::uint64_t shoal_tables_next
    __attribute__((alias("shoal_tables_next_of_test")));
}

namespace shoal::guest {

void* map_kernel_ram(std::uint64_t physical, std::uint64_t) {
    return kernel_address(physical);
}

bool release_table_memory(std::uint64_t end) {
    if (end < shoal_tables_next || end >= tables_end) {
        return false;
    }
    tables_end = end;
    return true;
}

}  // namespace shoal::guest

namespace {

using namespace shoal::guest;

// The first 2 MiB are the tables', the rest is free.
class Ram {
public:
    Ram() {
        // NOLINTNEXTLINE(performance-no-int-to-ptr)
        start_ = ::mmap(kernel_address(ram_start), ram_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        REQUIRE(start_ == kernel_address(ram_start));
        shoal_tables_next_of_test = ram_start;
        tables_end = ram_start + large_page_size;
        memory.add({tables_end, ram_start + ram_bytes});
        memory.leave_to_tables(tables_end, ram_start);
        memory.count_blocks();
    }
    Ram(const Ram&) = delete;
    Ram& operator=(const Ram&) = delete;
    ~Ram() { ::munmap(start_, ram_bytes); }

    // All of it, as small pages.
    std::vector<void*> take_all() {
        std::vector<void*> pages;
        while (void* page = memory.allocate_page()) {
            std::memset(page, 0xA5, page_size);
            pages.push_back(page);
        }
        return pages;
    }

    PhysicalMemory memory;

private:
    void* start_;
};

bool is_zero(const void* memory, std::uint64_t size_bytes) {
    const auto* bytes = static_cast<const char*>(memory);
    return std::all_of(bytes, bytes + size_bytes, [](char byte) { return byte == 0; });
}

struct Holder final : MemoryHolder {
    bool give_back() override {
        ++asked;
        if (pages.empty()) {
            return false;
        }
        memory->return_large_page(pages.back());
        pages.pop_back();
        return true;
    }
    PhysicalMemory* memory = nullptr;
    std::vector<void*> pages;
    int asked = 0;
};

}  // namespace

TEST_CASE("large pages are withdrawn, whether the host backs them or not, and come back") {
    Ram ram;
    const std::uint64_t total = ram.memory.free_bytes();
    void* const backed = ram.memory.allocate_large_page();
    REQUIRE(backed != nullptr);
    ram.memory.free_large_page(backed);
    CHECK(ram.memory.withdraw_large_page() == backed);
    std::vector<void*> pages{backed};
    while (void* page = ram.memory.withdraw_large_page()) {
        CHECK(reinterpret_cast<std::uint64_t>(page) % large_page_size == 0);
        CHECK(std::ranges::find(pages, page) == pages.end());
        pages.push_back(page);
    }
    CHECK(pages.size() >= total / large_page_size - 1);
    CHECK(ram.memory.free_bytes() == total - pages.size() * large_page_size);
    std::memset(backed, 0, large_page_size);
    ram.memory.return_large_page(backed);
    CHECK(!ram.memory.has_backed_large_page());
    CHECK(ram.memory.withdraw_large_page() == backed);
    CHECK(ram.memory.withdraw_large_page() == nullptr);
}

TEST_CASE(
    "what must be contiguous is found in large pages that came back, and the rest of them is used "
    "next") {
    Ram ram;
    std::vector<void*> pages;
    while (void* page = ram.memory.allocate_large_page()) {
        std::memset(page, 0xA5, large_page_size);
        pages.push_back(page);
    }
    while (ram.memory.allocate_page() != nullptr) {
    }
    CHECK(ram.memory.allocate_contiguous(9) == nullptr);
    ram.memory.free_large_page(pages.front());
    const auto* first = static_cast<const std::byte*>(ram.memory.allocate_contiguous(9));
    REQUIRE(first == pages.front());
    CHECK(is_zero(first, 9 * page_size));
    CHECK(ram.memory.free_bytes() == large_page_size - 9 * page_size);
    CHECK(ram.memory.allocate_contiguous(9) == first + 9 * page_size);
    CHECK(ram.memory.allocate_contiguous(513) == nullptr);
    const auto* page = static_cast<const std::byte*>(ram.memory.allocate_page());
    CHECK(page == first + 18 * page_size);
    CHECK(is_zero(page, page_size));
    // One that the host does not back is zero but for its first page.
    auto* empty = static_cast<std::byte*>(pages.back());
    std::memset(empty + page_size, 0, large_page_size - page_size);
    ram.memory.return_large_page(empty);
    CHECK(ram.memory.allocate_contiguous(512) == empty);
    CHECK(is_zero(empty, large_page_size));
}

TEST_CASE("so much is kept free, and the holders are asked first") {
    Ram ram;
    const std::uint64_t free = ram.memory.free_bytes();
    CHECK(ram.memory.keep_free(free - 1));
    CHECK(!ram.memory.keep_free(free));
    Holder holder;
    holder.memory = &ram.memory;
    holder.pages.push_back(ram.memory.allocate_large_page());
    std::memset(holder.pages.front(), 0, large_page_size);
    ram.memory.add_holder(holder);
    CHECK(ram.memory.keep_free(free - 1));
    CHECK(holder.asked == 1);
    CHECK(!ram.memory.keep_free(free));
}

TEST_CASE("small pages that fill 2 MiB become a large page, in whatever order they come back") {
    Ram ram;
    std::vector<void*> pages = ram.take_all();
    CHECK(ram.memory.free_bytes() == 0);
    CHECK(ram.memory.allocate_large_page() == nullptr);
    // Even ones first, then the odd ones backwards.
    const std::uint64_t total = pages.size() * page_size;
    for (std::size_t i = 0; i < pages.size(); i += 2) {
        ram.memory.free_page(pages[i]);
    }
    CHECK(!ram.memory.has_backed_large_page());
    CHECK(ram.memory.allocate_large_page() == nullptr);
    for (std::size_t i = pages.size(); i-- > 0;) {
        if (i % 2 != 0) {
            ram.memory.free_page(pages[i]);
        }
    }
    CHECK(ram.memory.free_bytes() == total);
    CHECK(ram.memory.has_backed_large_page());
    std::uint64_t large = 0;
    while (void* page = ram.memory.allocate_large_page()) {
        CHECK(reinterpret_cast<std::uint64_t>(page) % large_page_size == 0);
        CHECK(is_zero(page, large_page_size));
        ++large;
    }
    CHECK(large >= total / large_page_size - 2);
    CHECK(ram.memory.free_bytes() == total - large * large_page_size);
}

TEST_CASE("a page that goes to and fro does not take its block apart") {
    Ram ram;
    const std::vector<void*> pages = ram.take_all();
    for (void* page : pages) {
        ram.memory.free_page(page);
    }
    void* const last = ram.memory.allocate_page();
    CHECK(last == pages.back());
    CHECK(is_zero(last, page_size));
    ram.memory.free_page(last);
    CHECK(ram.memory.allocate_page() == last);
}

TEST_CASE("lent pages are nobody's until they return, and then are zero but for the first part") {
    Ram ram;
    std::vector<void*> large;
    while (void* page = ram.memory.allocate_large_page()) {
        std::memset(page, 0xA5, large_page_size);
        large.push_back(page);
    }
    const std::vector<void*> rest = ram.take_all();
    REQUIRE(large.size() >= 6);
    CHECK(!ram.memory.has_backed_large_page());
    CHECK(ram.memory.lend_large_page() == nullptr);
    ram.memory.free_large_page(large[0]);
    CHECK(ram.memory.has_backed_large_page());
    void* const lent = ram.memory.lend_large_page();
    CHECK(lent == large[0]);
    CHECK(ram.memory.free_bytes() == 0);
    CHECK(ram.memory.allocate_page() == nullptr);
    std::memset(static_cast<char*>(lent) + page_size, 0, large_page_size - page_size);
    ram.memory.return_large_page(lent);
    CHECK(!ram.memory.has_backed_large_page());
    CHECK(ram.memory.free_bytes() == large_page_size);

    SUBCASE("as a large page") {
        CHECK(ram.memory.allocate_large_page() == lent);
        CHECK(is_zero(lent, large_page_size));
    }
    SUBCASE("as small pages, side by side") {
        std::size_t count = 0;
        CHECK(ram.memory.allocate_run(16, count) == lent);
        CHECK(count == 16);
        CHECK(is_zero(lent, 16 * page_size));
        CHECK(ram.take_all().size() == 512 - 16);
    }
}

TEST_CASE("who holds memory is asked when there is none, and not while it is asked") {
    Ram ram;
    Holder holder;
    holder.memory = &ram.memory;
    ram.memory.add_holder(holder);
    void* const large = ram.memory.allocate_large_page();
    ram.memory.free_large_page(large);
    holder.pages.push_back(ram.memory.lend_large_page());
    CHECK(holder.pages.back() == large);
    const std::vector<void*> pages = ram.take_all();
    CHECK(holder.asked == 2);  // the second time it had nothing
    CHECK(std::ranges::find(pages, large) != pages.end());
}

TEST_CASE("RAM for page tables is taken last, and not what is in use or kept") {
    Ram ram;
    SUBCASE("in use") {
        shoal_tables_next_of_test = ram_start + page_size;
    }
    SUBCASE("free") {}
    const bool is_free = shoal_tables_next == ram_start;
    const std::uint64_t before = ram.memory.free_bytes();
    const std::vector<void*> pages = ram.take_all();
    CHECK(pages.size() * page_size == before);
    CHECK(tables_end == (is_free ? ram_start : ram_start + large_page_size));
    CHECK((std::ranges::find(pages, kernel_address(ram_start)) != pages.end()) == is_free);
}
