// FileData against a vector of bytes, and where memory or numbers end.
#include "guest/kernel/fs/file_data.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/guest/kernel/fs/fake_kernel.h"

namespace shoal::guest {
namespace {

std::string read_string(const FileData& data, std::uint64_t offset, std::size_t count) {
    std::string text(count, '?');
    SpanDestination to{std::as_writable_bytes(std::span{text})};
    const auto done = data.read(offset, to, count);
    text.resize(done ? *done : 0);
    return text;
}

Result<std::size_t> write_string(FileData& data, std::uint64_t offset, std::string_view text) {
    SpanSource from{std::as_bytes(std::span{text})};
    return data.write(offset, from, text.size());
}

// Four pages of letters, at a page boundary.
struct Extent {
    Extent() : memory{static_cast<std::byte*>(std::aligned_alloc(4096, 16384))} {
        for (std::size_t i = 0; i < 16384; ++i) {
            memory[i] = static_cast<std::byte>('a' + i / 4096);
        }
    }
    ~Extent() { std::free(memory); }
    Extent(const Extent&) = delete;
    Extent& operator=(const Extent&) = delete;

    std::byte* memory;
};

TEST_CASE("a file behaves like a vector of bytes, whatever is done to it") {
    std::mt19937 random{20240607};
    const auto below = [&](std::size_t end) { return random() % end; };
    for (int round = 0; round < 60; ++round) {
        std::string model(below(30000), '\0');
        for (char& c : model) {
            c = static_cast<char>(below(256));
        }
        const std::string borrowed = model;
        FileData data{std::as_bytes(std::span{borrowed})};
        for (int step = 0; step < 40; ++step) {
            const std::size_t offset = below(40000);
            const std::size_t count = below(9000) + 1;
            if (below(4) == 0) {
                model.resize(offset, '\0');
                REQUIRE(data.resize(offset));
            } else {
                const std::string text(count, static_cast<char>('A' + below(26)));
                model.resize(std::max(model.size(), offset + count), '\0');
                model.replace(offset, count, text);
                REQUIRE(*write_string(data, offset, text) == count);
            }
            REQUIRE(data.size() == model.size());
            const std::size_t at = below(40000);
            const std::string part = at < model.size() ? model.substr(at, 10000) : "";
            REQUIRE(read_string(data, at, 10000) == part);
        }
        CHECK(read_string(data, 0, 50000) == model);
        CHECK(std::string{borrowed}.size() == borrowed.size());
    }
    CHECK(fake::pages_in_use == 0);
}

TEST_CASE("bytes of the initramfs are borrowed until their page is written") {
    const Extent extent;
    FileData data{{extent.memory, 10000}};
    CHECK(data.page_for_read(0) == extent.memory);
    CHECK(data.page_for_read(1) == extent.memory + 4096);
    CHECK(data.page_for_read(2) == nullptr);  // not whole
    CHECK(data.page_for_read(3) == nullptr);
    CHECK(data.page_for_read(std::numeric_limits<std::uint64_t>::max()) == nullptr);
    CHECK(fake::pages_in_use == 0);

    REQUIRE(write_string(data, 5000, "X"));
    CHECK(extent.memory[5000] == std::byte{'b'});
    CHECK(data.page_for_read(0) == extent.memory);
    CHECK(data.page_for_read(1) == nullptr);  // it may change
    CHECK(read_string(data, 4999, 3) == "bXb");
    CHECK(data.unwritten_extent().empty());

    SUBCASE("and those that were cut off do not come back") {
        REQUIRE(data.resize(9000));
        REQUIRE(data.resize(12288));
        CHECK(read_string(data, 8999, 2) == std::string("c\0", 2));
        CHECK(data.page_for_read(2) == nullptr);
    }
    SUBCASE("and one that is not at a page boundary is not to be mapped") {
        const FileData shifted{{extent.memory + 1, 8192}};
        CHECK(shifted.page_for_read(0) == nullptr);
    }
}

TEST_CASE("a page of the file's own is zero behind the end") {
    FileData data;
    REQUIRE(write_string(data, 0, std::string(5000, 'x')));
    REQUIRE(data.resize(4100));
    REQUIRE(data.resize(8192));
    CHECK(read_string(data, 4099, 4093) == "x" + std::string(4092, '\0'));
}

TEST_CASE("sparse files take memory only where they were written") {
    FileData data;
    constexpr std::uint64_t far = 1ULL << 40;
    REQUIRE(write_string(data, far, "end"));
    CHECK(data.size() == far + 3);
    CHECK(data.allocated_bytes() == 4096);
    CHECK(fake::pages_in_use <= 6);
    CHECK(read_string(data, far - 1, 4) == std::string("\0end", 4));
    CHECK(data.next_data(far - 8192) == far);
    CHECK(data.next_hole(0) == 0);
    CHECK(data.next_hole(far) == far + 3);
    REQUIRE(write_string(data, 0, "begin"));
    CHECK(data.next_data(0) == 0);
    CHECK(data.next_hole(0) == 4096);
    REQUIRE(data.resize(10));
    CHECK(data.next_data(5) == 5);
    REQUIRE(data.resize(0));
    CHECK(fake::pages_in_use == 0);
}

TEST_CASE("the largest offsets are refused, not wrapped") {
    FileData data;
    constexpr std::uint64_t max = FileData::size_max;
    CHECK(write_string(data, max, "x").error() == Errno::fbig);
    CHECK(write_string(data, std::numeric_limits<std::uint64_t>::max(), "x").error() ==
          Errno::fbig);
    CHECK(*write_string(data, max - 1, "xy") == 1);
    CHECK(data.size() == max);
    CHECK(read_string(data, max - 2, 10) == std::string("\0x", 2));
    CHECK(data.resize(max + 1).error() == Errno::fbig);
    CHECK(data.reserve(max, 1).error() == Errno::fbig);
    CHECK(data.reserve(1, std::numeric_limits<std::uint64_t>::max()).error() == Errno::fbig);
}

TEST_CASE("when memory is gone a write says how far it came") {
    FileData data;
    for (std::size_t pages = 0; pages < 6; ++pages) {
        REQUIRE(data.resize(0));
        fake::pages_left = pages;
        const auto done = write_string(data, 0, std::string(20000, 'x'));
        if (pages == 0) {
            CHECK(done.error() == Errno::nospc);
        } else {
            // One page for the table as soon as there is a second page.
            CHECK(*done == (pages == 1 ? 4096 : (pages - 1) * 4096));
        }
        CHECK(data.size() == (done ? *done : 0));
        fake::pages_left = std::numeric_limits<std::size_t>::max() - fake::pages_in_use;
    }
}

TEST_CASE("a write that cannot read its bytes leaves nothing behind the end") {
    struct Broken final : Source {
        bool get(std::span<std::byte> bytes) override {
            std::memset(bytes.data(), '!', bytes.size() / 2);
            return false;
        }
    } broken;
    FileData data;
    REQUIRE(write_string(data, 0, "abc"));
    CHECK(data.write(3, broken, 100).error() == Errno::fault);
    CHECK(data.size() == 3);
    REQUIRE(data.resize(200));
    CHECK(read_string(data, 0, 200) == "abc" + std::string(197, '\0'));
}

TEST_CASE("pages for shared mappings are the file's own, or borrowed until they are written") {
    const Extent extent;
    FileData data{std::span{extent.memory, 10000}};
    CHECK(data.page_for_sharing(0) == extent.memory);
    CHECK(data.page_count() == 0);
    // Half a page is no page of the extent's.
    const auto* last = static_cast<const char*>(data.page_for_sharing(2));
    CHECK(data.page_count() == 1);
    CHECK(last[0] == 'c');
    CHECK(last[10000 - 8192] == 0);
    REQUIRE(write_string(data, 9000, "!"));
    CHECK(last[9000 - 8192] == '!');
    REQUIRE(write_string(data, 10, "?"));
    CHECK(data.page_count() == 2);
    const auto* first = static_cast<const char*>(data.page_for_sharing(0));
    CHECK(first != static_cast<const void*>(extent.memory));
    CHECK(first[10] == '?');
    CHECK(first[11] == 'a');
    const std::size_t left = std::exchange(fake::pages_left, 0);
    CHECK(data.page_for_sharing(1) == extent.memory + 4096);
    CHECK(data.page_for_sharing(5) == nullptr);
    fake::pages_left = left;
}

TEST_CASE("shared pages are forgotten when others take their place, and before they go") {
    fake::Kernel kernel;
    const EntryRef entry = fake::put_file(kernel.files, "/file", std::string(5000, 'x'));
    const auto file = OpenFile::open(entry, open_flags::read_write);
    Inode& inode = entry->inode();
    const auto write_at = [&](std::uint64_t offset) {
        SpanSource from{std::as_bytes(std::span{"y", 1})};
        REQUIRE(inode.write(**file, offset, from, 1));
    };
    const auto forgotten = [] { return std::exchange(fake::shared_pages_forgotten, 0); };
    forgotten();
    write_at(20000);
    REQUIRE(inode.resize(5000));
    CHECK(forgotten() == 0);
    CHECK(inode.page_for_sharing(0) != nullptr);
    write_at(1);
    CHECK(forgotten() == 0);
    write_at(20000);
    CHECK(forgotten() == 1);
    REQUIRE(inode.resize(30000));
    CHECK(forgotten() == 0);
    REQUIRE(inode.resize(100));
    CHECK(forgotten() == 1);
    REQUIRE(inode.reserve(0, 8192));
    CHECK(forgotten() == 1);
}

}  // namespace
}  // namespace shoal::guest
