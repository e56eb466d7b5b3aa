// Files that lie in an initrd's holes, and lists that cannot be followed.
#include "vmm/boot/initrd_map.h"

#include <doctest/doctest.h>

#include <algorithm>

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
