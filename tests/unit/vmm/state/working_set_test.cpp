#include "vmm/state/working_set.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/vmm/state/folder.h"
#include "vmm/state/section.h"

namespace shoal::state {
namespace {

constexpr std::uint64_t memory_bytes = 1 << 20;  // 256 pages
constexpr SnapshotId id{std::byte{1}, std::byte{2}};
constexpr SnapshotId other{std::byte{3}};

TEST_CASE("a working set comes back in its order, and is its snapshot's only") {
    const WorkingSet pages{255, 0, 7, 7};
    const auto file = encode_working_set(id, pages);
    CHECK(decode_working_set(file, id, memory_bytes) == pages);
    CHECK(decode_working_set(file, other, memory_bytes).empty());
    CHECK(decode_working_set(encode_working_set(id, {}), id, memory_bytes).empty());
}

TEST_CASE("a working set that is damaged or does not fit the memory is refused") {
    auto file = encode_working_set(id, WorkingSet{255, 0, 7});
    SUBCASE("a page behind the memory") {
        file = encode_working_set(id, WorkingSet{0, 256});
    }
    SUBCASE("the last page there can be") {
        file = encode_working_set(id, WorkingSet{~0U});
    }
    SUBCASE("a smaller memory") {
        CHECK_THROWS_AS(static_cast<void>(decode_working_set(file, id, memory_bytes / 2)),
                        StateError);
        return;
    }
    SUBCASE("empty") {
        file.clear();
    }
    SUBCASE("a byte short") {
        file.pop_back();
    }
    SUBCASE("a byte long") {
        file.push_back({});
    }
    SUBCASE("no pages") {
        SectionWriter writer;
        writer.add({"snapshot-id"}, id);
        file = writer.finish();
    }
    SUBCASE("fewer pages than it says") {
        SectionWriter writer;
        writer.add({"snapshot-id"}, id);
        writer.add({"working-set"}, std::uint32_t{4});
        file = writer.finish();
    }
    SUBCASE("something that must not be left out") {
        SectionWriter writer;
        writer.add({"snapshot-id"}, id);
        writer.add({"working-set"}, WorkingSet{1});
        writer.add({"news"}, true);
        file = writer.finish();
    }
    CHECK_THROWS_AS(static_cast<void>(decode_working_set(file, id, memory_bytes)), StateError);
}

TEST_CASE("every bit of a working set is checked") {
    const auto good = encode_working_set(id, WorkingSet{255, 0, 7});
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        auto file = good;
        file[bit / 8] ^= std::byte{1} << static_cast<int>(bit % 8);
        CAPTURE(bit);
        CHECK_THROWS_AS(static_cast<void>(decode_working_set(file, id, memory_bytes)), StateError);
    }
}

TEST_CASE("a working set that cannot be read is none, and can be written over") {
    const testing::Folder folder;
    const std::string memory = folder.path / "memory";
    const std::filesystem::path file = memory + ".working-set";
    SUBCASE("there is none") {}
    SUBCASE("damaged") {
        std::ofstream{file} << "SHOALST\n";
    }
    SUBCASE("larger than any") {
        std::ofstream{file}.close();
        std::filesystem::resize_file(file, std::uint64_t{1} << 30);
    }
    SUBCASE("another snapshot's") {
        write_working_set(file, other, WorkingSet{1});
    }
    CHECK(read_working_set(file, id, memory_bytes).empty());
    const WorkingSet pages{3, 1};
    write_working_set(file, id, pages);
    CHECK(read_working_set(file, id, memory_bytes) == pages);
    CHECK(std::distance(std::filesystem::directory_iterator{folder.path}, {}) == 1);
}

TEST_CASE("a working set that is no regular file is none") {
    const testing::Folder folder;
    const std::string memory = folder.path / "memory";
    const std::string file = working_set_beside(memory);
    SUBCASE("a pipe that nobody writes to") {
        REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    }
    SUBCASE("a folder") {
        REQUIRE(std::filesystem::create_directory(file));
    }
    CHECK(read_working_set(file, id, memory_bytes).empty());
    CHECK_THROWS(write_working_set(file, id, WorkingSet{1}));
}

TEST_CASE("a working set has a limit, and keeps what was wanted first") {
    WorkingSet pages(max_working_set_pages + 1);
    pages.front() = 7;
    const auto decoded = decode_working_set(encode_working_set(id, pages), id, memory_bytes);
    CHECK(decoded.size() == max_working_set_pages);
    CHECK(decoded.front() == 7);
}

}  // namespace
}  // namespace shoal::state
