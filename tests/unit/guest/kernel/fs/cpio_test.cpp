// CpioReader on archives that are right, cut, and lying about their sizes.
#include "guest/kernel/fs/cpio.h"

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/guest/kernel/fs/archive_builder.h"

namespace shoal::guest {
namespace {

using fake::ArchiveBuilder;
using fake::Header;

struct Read {
    std::string names{};  // with a blank after each
    std::string error{};
    std::uint64_t offset = 0;
};

// From memory of exactly that size, so that a sanitizer sees a byte too many.
Read read_archive(std::span<const std::byte> archive) {
    const std::vector<std::byte> copy{archive.begin(), archive.end()};
    CpioReader reader{copy};
    Read result;
    for (;;) {
        const auto member = reader.next();
        if (!member) {
            result.error = member.error().reason;
            result.offset = member.error().offset;
            return result;
        }
        if (!*member) {
            return result;
        }
        result.names.append((*member)->name).append(" ");
    }
}

std::string error_of(const ArchiveBuilder& builder) {
    return read_archive(builder.bytes()).error;
}

TEST_CASE("a member is read with its fields") {
    ArchiveBuilder builder;
    builder.add({.inode = 7, .mode = 0100755, .uid = 1, .gid = 2, .mtime_s = 99, .name_padding = 5},
                "bin/x", "data!");
    CpioReader reader{builder.bytes()};
    const auto member = reader.next();
    REQUIRE(member);
    REQUIRE(*member);
    CHECK((*member)->name == "bin/x");
    CHECK((*member)->data.size() == 5);
    CHECK(std::memcmp((*member)->data.data(), "data!", 5) == 0);
    CHECK((*member)->inode == 7);
    CHECK((*member)->mode == 0100755);
    CHECK((*member)->uid == 1);
    CHECK((*member)->gid == 2);
    CHECK((*member)->mtime_s == 99);
    CHECK((*member)->minor == 8);
    CHECK(!(*member)->is_trailer());
    REQUIRE(reader.next());
    CHECK(!*reader.next());
}

TEST_CASE("archives may follow one another, with zeros between and behind them") {
    ArchiveBuilder builder;
    builder.add({}, "a", "1").end().zeros(512).add({}, "b", "2").end().zeros(3);
    const Read read = read_archive(builder.bytes());
    CHECK(read.error.empty());
    CHECK(read.names == "a TRAILER!!! b TRAILER!!! ");
    CHECK(read_archive({}).names.empty());
    CHECK(read_archive(ArchiveBuilder{}.zeros(7).bytes()).error.empty());
}

TEST_CASE("an archive that is cut anywhere gives an error or fewer members") {
    ArchiveBuilder builder;
    builder.add_directory("d").add({}, "d/file", std::string(50, 'x')).end();
    const std::size_t data_end = builder.text().size() - 124;
    for (std::size_t size = 0; size <= builder.text().size(); ++size) {
        const Read read = read_archive(builder.bytes().first(size));
        CAPTURE(size);
        CHECK((read.error.empty() || read.offset < size));
        // Whole are: nothing, the directory, the file (its padding may be missing), the trailer.
        const bool is_whole = size == 0 || size == 112 ||
                              (size >= data_end - 2 && size <= data_end) ||
                              size >= builder.text().size() - 3;
        CHECK(read.error.empty() == is_whole);
    }
}

TEST_CASE("sizes that lie are found out") {
    const std::string name("x\0", 2);
    CHECK(error_of(ArchiveBuilder{}.add_raw({}, 0, 0, "", "")) ==
          "a name is empty or longer than 4095 bytes");
    CHECK(error_of(ArchiveBuilder{}.add_raw({}, 0xFFFFFFFF, 0, name, "")) ==
          "a name is empty or longer than 4095 bytes");
    CHECK(error_of(ArchiveBuilder{}.add_raw({}, 4096, 0, name, "")) ==
          "a name reaches beyond the end");
    CHECK(error_of(ArchiveBuilder{}.add_raw({}, 2, 0xFFFFFFFF, name, "data")) ==
          "a file's data reaches beyond the end");
    CHECK(error_of(ArchiveBuilder{}.add_raw({}, 2, 5, name, "data")) ==
          "a file's data reaches beyond the end");
    CHECK(error_of(ArchiveBuilder{}.add_raw({}, 1, 0, name, "")) ==
          "a name is empty or does not end");
    CHECK(error_of(ArchiveBuilder{}.add_raw({}, 2, 0, std::string("\0\0", 2), "")) ==
          "a name is empty or does not end");
    // A name of the largest size is read.
    ArchiveBuilder builder;
    builder.add({}, std::string(4095, 'n'));
    CHECK(error_of(builder).empty());
}

TEST_CASE("what is no newc header is named with its offset") {
    const ArchiveBuilder good = ArchiveBuilder{}.add({}, "a", "1");
    for (const char* magic : {"070707", "07070", "garbag", "\x1F\x8B"}) {
        std::string text = good.text() + magic + std::string(200, 'x');
        const Read read = read_archive(std::as_bytes(std::span{text}));
        CHECK(read.error == "no cpio header in the newc format");
        CHECK(read.offset == good.text().size());
        CHECK(read.names == "a ");
    }
    std::string text = good.text();
    for (std::size_t i = 6; i < 110; ++i) {
        std::string broken = text;
        broken[i] = 'g';
        CHECK(read_archive(std::as_bytes(std::span{broken})).error ==
              "a header has a field that is not hexadecimal");
    }
    text.insert(0, 2, '\0');
    CHECK(read_archive(std::as_bytes(std::span{text})).error ==
          "a header is not aligned to 4 bytes");
}

TEST_CASE("the checksum of 070702 is checked") {
    Header header{.magic = "070702", .checksum = 'a' + 'b'};
    CHECK(error_of(ArchiveBuilder{}.add(header, "x", "ab")).empty());
    CHECK(error_of(ArchiveBuilder{}.add(header, "x", "ac")) == "a file's checksum is wrong");
}

}  // namespace
}  // namespace shoal::guest
