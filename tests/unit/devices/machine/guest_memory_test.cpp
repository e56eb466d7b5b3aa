// Guest memory: bounds, the hole below 4 GiB, addresses that wrap.
#include "devices/machine/guest_memory.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "devices/abi/address_map.h"

namespace shoal::machine {
namespace {

constexpr std::uint64_t mib = 1 << 20;
constexpr std::uint64_t page = abi::page_size;
constexpr std::uint64_t largest = ~0ULL;

// What the host really spends on it.
std::uint64_t host_bytes(const GuestMemory& memory) {
    struct stat status {};
    REQUIRE(::fstat(memory.fd(), &status) == 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

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

TEST_CASE("discarded pages cost the host nothing and read as zeros") {
    const GuestMemory memory{2 * mib};
    std::ranges::fill(memory.slice(Gpa{0}, 2 * mib).value(), std::byte{0x5A});
    REQUIRE(host_bytes(memory) == 2 * mib);
    CHECK(memory.discard(Gpa{mib}, 16 * page));
    CHECK(host_bytes(memory) == 2 * mib - 16 * page);
    CHECK(memory.read<std::uint8_t>(Gpa{mib - 1}).value() == 0x5A);
    CHECK(memory.read<std::uint8_t>(Gpa{mib}).value() == 0);
    CHECK(memory.read<std::uint8_t>(Gpa{mib + 16 * page - 1}).value() == 0);
    CHECK(memory.read<std::uint8_t>(Gpa{mib + 16 * page}).value() == 0x5A);

    SUBCASE("and can be written again") {
        CHECK(memory.write(Gpa{mib}, std::uint8_t{1}));
        CHECK(memory.read<std::uint8_t>(Gpa{mib}).value() == 1);
    }
    SUBCASE("and be discarded again") {
        const std::uint64_t before = host_bytes(memory);
        CHECK(memory.discard(Gpa{mib}, 16 * page));
        CHECK(host_bytes(memory) <= before);
    }
    SUBCASE("all of them at once") {
        CHECK(memory.discard(Gpa{0}, 2 * mib));
        CHECK(host_bytes(memory) == 0);
    }
}

TEST_CASE("only whole pages within the range are discarded") {
    const GuestMemory memory{mib};
    std::ranges::fill(memory.slice(Gpa{0}, mib).value(), std::byte{0x5A});
    SUBCASE("none") {
        CHECK(memory.discard(Gpa{0}, 0));
        CHECK(memory.discard(Gpa{mib}, 0));
        CHECK(memory.discard(Gpa{0}, page - 1));
        CHECK(memory.discard(Gpa{1}, 2 * page - 2));
        CHECK(host_bytes(memory) == mib);
    }
    SUBCASE("one") {
        CHECK(memory.discard(Gpa{1}, 2 * page - 1));
        CHECK(host_bytes(memory) == mib - page);
        CHECK(memory.read<std::uint8_t>(Gpa{page - 1}).value() == 0x5A);
        CHECK(memory.read<std::uint8_t>(Gpa{page}).value() == 0);
        CHECK(memory.read<std::uint8_t>(Gpa{2 * page}).value() == 0x5A);
    }
    SUBCASE("not beyond the memory") {
        CHECK_FALSE(memory.discard(Gpa{mib - page}, page + 1));
        CHECK_FALSE(memory.discard(Gpa{largest - page + 1}, page));
        CHECK_FALSE(memory.discard(Gpa{0}, largest));
        CHECK(host_bytes(memory) == mib);
    }
}

TEST_CASE("pages beyond the hole are discarded in their place in the file") {
    const GuestMemory memory{abi::ram_hole_start + mib};
    CHECK(memory.write(Gpa{abi::ram_hole_end}, std::uint8_t{1}));
    CHECK(memory.write(Gpa{0}, std::uint8_t{1}));
    CHECK_FALSE(memory.discard(Gpa{abi::ram_hole_start - page}, 2 * page));
    CHECK_FALSE(memory.discard(Gpa{abi::ram_hole_start}, page));
    CHECK(memory.discard(Gpa{abi::ram_hole_end}, page));
    CHECK(host_bytes(memory) == page);
    CHECK(memory.read<std::uint8_t>(Gpa{0}).value() == 1);
}

TEST_CASE(
    "memory that becomes private keeps its place and content, and its file keeps this moment") {
    GuestMemory memory{mib};
    CHECK(memory.write(Gpa{0}, std::uint8_t{1}));
    CHECK(memory.write(Gpa{page}, std::uint8_t{2}));
    const std::byte* const place = memory.bytes().data();
    const host::Mapping before = memory.make_private();
    CHECK(memory.bytes().data() == place);
    CHECK(memory.fd() == -1);
    CHECK(memory.write(Gpa{0}, std::uint8_t{3}));
    CHECK(memory.read<std::uint8_t>(Gpa{0}).value() == 3);
    CHECK(memory.read<std::uint8_t>(Gpa{page}).value() == 2);
    CHECK(before.data()[0] == std::byte{1});
    SUBCASE("what is discarded is zero, and stays in the file") {
        CHECK(memory.discard(Gpa{page}, page));
        CHECK(memory.read<std::uint8_t>(Gpa{page}).value() == 0);
        CHECK(before.data()[page] == std::byte{2});
    }
    SUBCASE("a second time nothing changes") {
        CHECK(memory.make_private().data() == nullptr);
        CHECK(memory.read<std::uint8_t>(Gpa{0}).value() == 3);
    }
}

TEST_CASE("a memory that nobody has used becomes a file's copy, or zeros, in its place") {
    GuestMemory memory{mib};
    const std::byte* const place = memory.bytes().data();
    SUBCASE("a copy") {
        host::UniqueFd file{::memfd_create("test", MFD_CLOEXEC)};
        constexpr char byte = 7;
        REQUIRE(::pwrite(file.get(), &byte, 1, mib - 1) == 1);
        const int number = file.get();
        memory.become_copy(std::move(file));
        CHECK(memory.content_fd() == number);
        CHECK(memory.read<std::uint8_t>(Gpa{mib - 1}).value() == 7);
        REQUIRE(memory.write(Gpa{mib - 1}, std::uint8_t{8}));
        char after = 0;
        REQUIRE(::pread(number, &after, 1, mib - 1) == 1);
        CHECK(after == 7);
    }
    SUBCASE("not of a file that is too short") {
        host::UniqueFd file{::memfd_create("test", MFD_CLOEXEC)};
        CHECK_THROWS_AS(memory.become_copy(std::move(file)), std::invalid_argument);
        CHECK(memory.fd() >= 0);
    }
    SUBCASE("zeros") {
        memory.become_filled_by_others();
        CHECK(memory.backing() == Backing::others);
        CHECK(memory.fd() == -1);
        CHECK(memory.content_fd() == -1);
        CHECK(memory.read<std::uint8_t>(Gpa{0}).value() == 0);
    }
    CHECK(memory.bytes().data() == place);
}

// What lies in huge pages of the mapping that begins there.
std::uint64_t huge_kib(const GuestMemory& memory) {
    std::ifstream maps{"/proc/self/smaps"};
    char start[32];
    // SAFETY: the address as a number.
    std::snprintf(start, sizeof start, "%lx-",
                  reinterpret_cast<unsigned long>(memory.bytes().data()));
    bool is_there = false;
    for (std::string line; std::getline(maps, line);) {
        is_there = is_there || line.starts_with(start);
        if (is_there && line.starts_with("AnonHugePages:")) {
            return std::stoull(line.substr(line.find(':') + 1));
        }
    }
    return 0;
}

bool has_host_huge_pages() {
    std::ifstream file{"/sys/kernel/mm/transparent_hugepage/enabled"};
    std::string text;
    std::getline(file, text);
    return text.find("[always]") != std::string::npos ||
           text.find("[madvise]") != std::string::npos;
}

TEST_CASE("memory of huge pages is in its place, where the host and the guest agree about 2 MiB") {
    constexpr std::uint64_t size = 4 * mib + page;
    GuestMemory memory{size};
    const std::byte* const place = memory.bytes().data();
    // SAFETY: the address as a number.
    CHECK(reinterpret_cast<std::uintptr_t>(place) % (2 * mib) == 0);
    memory.become_huge_pages();
    CHECK(memory.bytes().data() == place);
    CHECK(memory.backing() == Backing::huge_pages);
    CHECK(memory.fd() == -1);
    CHECK(memory.content_fd() == -1);
    CHECK(memory.write(Gpa{2 * mib + page}, std::uint8_t{1}));
    CHECK(memory.write(Gpa{size - 1}, std::uint8_t{2}));
    CHECK(huge_kib(memory) == (has_host_huge_pages() ? 2048 : 0));

    SUBCASE("pages are given back, as often as one likes") {
        memory.write_log().start();
        for (int count = 0; count < 2; ++count) {
            CHECK(memory.write(Gpa{2 * mib}, std::uint8_t{3}));
            CHECK(memory.write(Gpa{2 * mib + page}, std::uint8_t{4}));
            CHECK(memory.discard(Gpa{2 * mib + 1}, 2 * page));
            CHECK(memory.read<std::uint8_t>(Gpa{2 * mib}).value() == 3);
            CHECK(memory.read<std::uint8_t>(Gpa{2 * mib + page}).value() == 0);
        }
        std::array<std::uint64_t, 17> written{};
        memory.write_log().take(written);
        CHECK(written[8] == 3);
        memory.write_log().stop();
    }
    SUBCASE("it does not become private: it is") {
        CHECK(memory.make_private().data() == nullptr);
        CHECK(memory.backing() == Backing::huge_pages);
        CHECK(memory.read<std::uint8_t>(Gpa{size - 1}).value() == 2);
    }
}

std::size_t mapping_count() {
    std::ifstream maps{"/proc/self/maps"};
    return static_cast<std::size_t>(
        std::count(std::istreambuf_iterator<char>{maps}, std::istreambuf_iterator<char>{}, '\n'));
}

TEST_CASE("a private memory is given back in so many pieces that mappings are left") {
    constexpr std::uint64_t pieces = ReplacedPages::max_pieces;
    GuestMemory memory{(2 * pieces + 64) * page};
    static_cast<void>(memory.make_private());
    const std::size_t before = mapping_count();
    for (std::uint64_t idx = 0; idx < pieces; ++idx) {
        REQUIRE(memory.discard(Gpa{2 * idx * page}, page));
    }
    CHECK(mapping_count() > before + pieces);
    const std::uint64_t beyond = (2 * pieces + 8) * page;
    CHECK(memory.write(Gpa{beyond}, std::uint8_t{1}));
    CHECK(memory.discard(Gpa{beyond}, page).error() == MemoryError::host_refused);
    CHECK(memory.read<std::uint8_t>(Gpa{beyond}).value() == 1);
    SUBCASE("the same pages may be given back again") {
        CHECK(memory.write(Gpa{2 * page}, std::uint8_t{2}));
        CHECK(memory.discard(Gpa{2 * page}, page));
        CHECK(memory.read<std::uint8_t>(Gpa{2 * page}).value() == 0);
    }
    SUBCASE("and what lies between, which makes no room for others") {
        for (std::uint64_t idx = 0; idx < pieces; ++idx) {
            REQUIRE(memory.write(Gpa{(2 * idx + 1) * page}, std::uint8_t{1}));
            REQUIRE(memory.discard(Gpa{2 * idx * page}, 3 * page));
            REQUIRE(memory.read<std::uint8_t>(Gpa{(2 * idx + 1) * page}).value() == 0);
        }
        CHECK_FALSE(memory.discard(Gpa{beyond}, page));
    }
    CHECK(mapping_count() <= before + 2 * pieces + 2);
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
