// Files that lie in an initrd's holes, and lists that cannot be followed.
#include "vmm/boot/initrd_map.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "devices/abi/ready_tables.h"
#include "tests/unit/vmm/boot/image_builder.h"
#include "vmm/boot/boot.h"
#include "vmm/boot/image_file.h"

namespace shoal::boot {
namespace {

using testing::MemoryFile;

constexpr std::uint64_t page = 4096;
constexpr machine::Gpa start{0x10000};

std::string line(const std::string& numbers, const MemoryFile& file) {
    return numbers + " " + file.path() + std::string(1, '\0');
}

TEST_CASE("files take their places in guest memory without a copy") {
    const MemoryFile first{std::string(2 * page, 'a')};
    const MemoryFile second{std::string(page + 100, 'b')};
    const MemoryFile list{line("0 8192", first) + line("12288 4096", second)};
    const machine::GuestMemory memory{1 << 20};
    InitrdMap{list.path()}.apply(memory, start, 4 * page);
    const auto bytes = *memory.slice(start, 4 * page);
    const auto all = [](std::span<std::byte> part, char c) {
        return std::ranges::all_of(part, [c](std::byte b) { return b == std::byte(c); });
    };
    CHECK(all(bytes.first(2 * page), 'a'));
    CHECK(all(bytes.subspan(2 * page, page), '\0'));
    CHECK(all(bytes.subspan(3 * page, page), 'b'));
}

TEST_CASE("a list that cannot be followed is refused") {
    const MemoryFile file{std::string(2 * page, 'a')};
    for (const char* numbers : {"", "0", "x 4096", "0 x", "1 4096", "0 4095", "0 0", "-1 4096",
                                "99999999999999999999 4096"}) {
        const MemoryFile list{line(numbers, file)};
        CHECK_THROWS_AS(InitrdMap{list.path()}, BootError);
    }
}

TEST_CASE("parts of files are copied to their places") {
    const MemoryFile file{std::string(page, 'a') + "bcd"};
    const MemoryFile list{"copy 100 4 4095 " + file.path()};
    const machine::GuestMemory memory{1 << 20};
    InitrdMap{list.path()}.apply(memory, start, page);
    const auto bytes = *memory.slice(machine::Gpa{start.value() + 99}, 6);
    const std::string_view wanted{"\0abcd\0", 6};
    CHECK(std::ranges::equal(bytes, std::as_bytes(std::span{wanted})));
    for (const char* numbers : {"", "0", "0 1", "x 1 0", "0 1 x", "-1 1 0"}) {
        const MemoryFile bad{"copy " + line(numbers, file)};
        CHECK_THROWS_AS(InitrdMap{bad.path()}, BootError);
    }
    // Behind the file's end, beyond the initrd, and of no file.
    for (const std::string& text :
         {"copy 0 5 4095 " + file.path(), "copy 4093 4 0 " + file.path(),
          "copy 18446744073709551615 2 0 " + file.path(),
          "copy 0 1 18446744073709551615 " + file.path(), std::string{"copy 0 1 0 /no/such/file"},
          std::string{"copy 0 1 0 /usr"}}) {
        const MemoryFile bad{text};
        const InitrdMap map{bad.path()};
        CHECK_THROWS_AS(map.apply(memory, start, page), BootError);
    }
}

TEST_CASE("files that are missing, too short or no files are refused") {
    const MemoryFile file{std::string(2 * page, 'a')};
    const machine::GuestMemory memory{1 << 20};
    for (const std::string& text :
         {std::string{"0 4096 /no/such/file"}, std::string{"0 4096 /usr"}, line("0 12288", file)}) {
        const MemoryFile list{text};
        const InitrdMap map{list.path()};
        CHECK_THROWS_AS(map.apply(memory, start, 4 * page), BootError);
    }
}

TEST_CASE("a file that would reach beyond the initrd is refused") {
    const MemoryFile file{std::string(2 * page, 'a')};
    const machine::GuestMemory memory{1 << 20};
    for (const char* numbers : {"4096 8192", "8192 4096", "18446744073709547520 8192"}) {
        const MemoryFile list{line(numbers, file)};
        const InitrdMap map{list.path()};
        CHECK_THROWS_AS(map.apply(memory, start, 2 * page), BootError);
    }
}

// A list with runs of pages alone.
std::string runs(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& one : lines) {
        text += "rights " + one + std::string(1, '\0');
    }
    return text;
}

constexpr std::uint64_t large_page = 2ULL << 20;
const ReadyTables place{machine::Gpa{large_page}, 0x20000, machine::Gpa{0x8000}};

std::uint64_t entry_at(const machine::GuestMemory& memory, std::uint64_t idx) {
    return *memory.read<std::uint64_t>(machine::Gpa{place.start.value() + idx * 8});
}

TEST_CASE("ready page tables say where pages of the initrd lie, and their rights") {
    namespace ready = abi::ready_tables;
    const machine::GuestMemory memory{8 << 20};
    const machine::Gpa initrd{3 * large_page};
    const MemoryFile list{
        runs({"510 4096 3 f", "513 16384 1 x", "1024 0 1 fx", "1025 8192 1 r", "1026 0 1 w3"})};
    InitrdMap{list.path()}.fill_tables(memory, place, initrd, 5 * page);
    const std::uint64_t data = ready::entry_read | ready::entry_no_execute;
    const std::uint64_t first = initrd.value();
    CHECK(entry_at(memory, 509) == 0);
    CHECK(entry_at(memory, 510) == ((first + page) | data | ready::entry_file_start));
    CHECK(entry_at(memory, 511) == ((first + 2 * page) | data));
    CHECK(entry_at(memory, 512) == ((first + 3 * page) | data));
    CHECK(entry_at(memory, 513) == ((first + 4 * page) | ready::entry_read));
    CHECK(entry_at(memory, 514) == 0);
    CHECK(entry_at(memory, 1024) == (first | ready::entry_read | ready::entry_file_start));
    CHECK(entry_at(memory, 1025) == ((first + 2 * page) | data));
    CHECK(entry_at(memory, 1026) ==
          (first | data | ready::entry_write | ready::entry_owned | 3ULL << ready::shift_bit));
    CHECK(*memory.read<std::uint64_t>(place.end_at) == place.start.value() + 0x10000);
}

TEST_CASE("without a note, or without room below the initrd, there are no ready tables") {
    const machine::GuestMemory memory{8 << 20};
    const MemoryFile list{runs({"0 0 1 f"})};
    const InitrdMap map{list.path()};
    map.fill_tables(memory, std::nullopt, machine::Gpa{3 * large_page}, page);
    map.fill_tables(memory, place, machine::Gpa{2 * large_page - page}, page);
    CHECK(entry_at(memory, 0) == 0);
    CHECK(*memory.read<std::uint64_t>(place.end_at) == 0);
}

TEST_CASE("ready tables beyond the initrd, or more than the kernel takes, are refused") {
    const machine::GuestMemory memory{8 << 20};
    for (const char* one : {"0 0 3 r", "0 12288 1 r", "0 8192 1 r", "16384 0 1 r"}) {
        const MemoryFile list{runs({one})};
        const InitrdMap map{list.path()};
        CHECK_THROWS_AS(map.fill_tables(memory, place, machine::Gpa{3 * large_page}, 2 * page),
                        BootError);
    }
    CHECK(entry_at(memory, 0) == 0);
}

TEST_CASE("a line of rights that makes no sense is refused") {
    for (const char* one :
         {"", "0 0 1", "0 0 1 ", "0 0 1 w", "0 0 1 w128", "0 0 1 w1x", "0 0 1 w-1", "0 0 1 wx",
          "0 0 1 rw", "0 0 1 xf", "0 0 0 r", "0 1 1 r", "1048576 0 1 r", "0 0 1048577 r",
          "-1 0 1 r", "0 0 99999999999999999999 r"}) {
        const MemoryFile list{runs({one})};
        CHECK_THROWS_AS(InitrdMap{list.path()}, BootError);
    }
}

TEST_CASE("holes of a sparse image are left alone") {
    const host::UniqueFd fd{::memfd_create("test", MFD_CLOEXEC)};
    REQUIRE(::pwrite(fd.get(), "data", 4, 4 * page) == 4);
    REQUIRE(::ftruncate(fd.get(), 8 * page) == 0);
    const ImageFile file{"initrd", "/proc/self/fd/" + std::to_string(fd.get())};
    std::vector<std::byte> bytes(8 * page, std::byte{'x'});
    file.read_sparse(bytes);
    CHECK(bytes[0] == std::byte{'x'});
    CHECK(bytes[4 * page] == std::byte{'d'});
    CHECK(bytes[4 * page + 4] == std::byte{0});
    CHECK(bytes[5 * page] == std::byte{'x'});
}

}  // namespace
}  // namespace shoal::boot
