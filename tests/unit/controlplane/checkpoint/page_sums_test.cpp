#include "controlplane/checkpoint/page_sums.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "controlplane/checkpoint/difference.h"
#include "devices/host/crc32c.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::checkpoints::test {

namespace {

namespace fs = std::filesystem;

void write(const std::string& path, const std::string& text) {
    std::ofstream{path, std::ios::binary} << text;
}

std::uint32_t sum_of(const std::string& text) {
    return host::crc32c(std::as_bytes(std::span{text}));
}

void flip(const std::string& path, std::uint64_t at) {
    std::fstream file{path, std::ios::binary | std::ios::in | std::ios::out};
    file.seekg(static_cast<std::streamoff>(at));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(byte ^ 1));
}

}  // namespace

TEST_CASE("a file's sums are those of its pages, the last one as long as it is") {
    const store::test::ScratchFolder scratch;
    const std::string path = scratch.file("memory");
    const std::string page(page_bytes, 'a');
    SUBCASE("nothing") {
        write(path, "");
        CHECK(sums_of(path) == PageSums{0, {}});
    }
    SUBCASE("one byte") {
        write(path, "x");
        CHECK(sums_of(path) == PageSums{1, {sum_of("x")}});
    }
    SUBCASE("whole pages") {
        write(path, page + page);
        CHECK(sums_of(path) == PageSums{2 * page_bytes, {sum_of(page), sum_of(page)}});
    }
    SUBCASE("more than is read at once, and one byte") {
        std::string text;
        for (int count = 0; count < 300; ++count) {
            text += page;
        }
        write(path, text + "x");
        const PageSums sums = sums_of(path);
        CHECK(sums.pages.size() == 301);
        CHECK(sums.pages[299] == sum_of(page));
        CHECK(sums.pages[300] == sum_of("x"));
    }
}

TEST_CASE("a hole has the sums of zeros") {
    const store::test::ScratchFolder scratch;
    const std::string path = scratch.file("memory");
    const std::string page(page_bytes, 'a');
    write(path, page);
    fs::resize_file(path, 1'000 * page_bytes + 7);
    const PageSums with_hole = sums_of(path);
    write(path, page + std::string(999 * page_bytes + 7, '\0'));
    CHECK(with_hole == sums_of(path));
    CHECK(with_hole.pages[1] == sum_of(std::string(page_bytes, '\0')));
    CHECK(with_hole.pages[1000] == sum_of(std::string(7, '\0')));
}

TEST_CASE("sums that are updated are those of the pages in the set, as the file has them") {
    const store::test::ScratchFolder scratch;
    const std::string path = scratch.file("memory");
    write(path, std::string(100 * page_bytes + 24, 'a'));
    PageSums sums = sums_of(path);
    const PageSums before = sums;
    write(path, std::string(100 * page_bytes + 24, 'b'));
    update_sums(sums, path, std::vector<std::uint64_t>{0b101, std::uint64_t{1} << 36});
    CHECK(sums.pages[0] == sum_of(std::string(page_bytes, 'b')));
    CHECK(sums.pages[1] == before.pages[1]);
    CHECK(sums.pages[2] == sum_of(std::string(page_bytes, 'b')));
    CHECK(sums.pages[100] == sum_of(std::string(24, 'b')));
    CHECK(sums.pages[99] == before.pages[99]);
    fs::resize_file(path, 50 * page_bytes);
    CHECK_THROWS(update_sums(sums, path, std::vector<std::uint64_t>{0, std::uint64_t{1} << 36}));
}

TEST_CASE("one bit that is not as it was is found, wherever it is") {
    const store::test::ScratchFolder scratch;
    const std::string path = scratch.file("memory");
    write(path, std::string(3 * page_bytes + 24, 'a'));
    fs::resize_file(path, 40 * page_bytes + 24);
    write_sums(path, sums_of(path));
    CHECK_NOTHROW(expect_sound(path));
    std::string sentence = path + " is damaged in the 4096 bytes at ";
    SUBCASE("in its data") {
        flip(path, page_bytes + 5);
        sentence += "4096";
    }
    SUBCASE("in a hole") {
        flip(path, 20 * page_bytes);
        sentence += "81920";
    }
    SUBCASE("in its last byte") {
        flip(path, 40 * page_bytes + 23);
        sentence += "163840";
    }
    SUBCASE("it is cut short") {
        fs::resize_file(path, 40 * page_bytes);
        sentence = path + " has 163840 bytes and not 163864";
    }
    SUBCASE("a page has become zeros") {
        fs::resize_file(path, page_bytes);
        fs::resize_file(path, 40 * page_bytes + 24);
        sentence += "4096";
    }
    SUBCASE("in the sums") {
        flip(sums_beside(path), 30);
        sentence = path + ".sums is damaged";
    }
    SUBCASE("there are no sums") {
        fs::remove(sums_beside(path));
        sentence = path + ".sums is not there";
    }
    CHECK_THROWS_WITH_AS(expect_sound(path), sentence.c_str(), Damage);
}

TEST_CASE("sums come back as they were written, and what is none is refused") {
    const PageSums sums{2 * page_bytes + 1, {7, 8, 9}};
    std::vector<std::byte> bytes = encode(sums);
    CHECK(parse_sums(bytes) == sums);
    CHECK(parse_sums(encode(PageSums{})) == PageSums{});
    CHECK_FALSE(parse_sums({}));
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        CHECK_FALSE(parse_sums(std::span{bytes}.first(length)));
    }
    for (std::byte& byte : bytes) {
        byte ^= std::byte{0x80};
        CHECK_FALSE(parse_sums(bytes));
        byte ^= std::byte{0x80};
    }
}

TEST_CASE("a difference says which pages it has, or is none") {
    const auto mark = [](const std::string& magic, std::size_t words, unsigned char last) {
        std::string text = magic + std::string(32 + words * 8, '\0');
        if (words != 0) {
            text.back() = static_cast<char>(last);
        }
        return text;
    };
    const auto pages = [](const std::string& text, std::uint64_t count) {
        return pages_in_mark(std::as_bytes(std::span{text}), count * page_bytes);
    };
    CHECK(pages(mark("SHOALDIF", 1, 1), 64) == std::vector{std::uint64_t{1} << 56});
    CHECK(pages(mark("SHOALDIF", 2, 0), 65) == std::vector<std::uint64_t>{0, 0});
    CHECK(pages(mark("SHOALDIF", 0, 0), 0) == std::vector<std::uint64_t>{});
    CHECK_FALSE(pages(mark("SHOALDIF", 1, 2), 57));  // a page behind the memory
    CHECK_FALSE(pages(mark("SHOALDIF", 1, 0), 65));
    CHECK_FALSE(pages(mark("SHOALDIF", 2, 0), 64));
    CHECK_FALSE(pages(mark("SHOALMEM", 1, 0), 64));
    CHECK_FALSE(pages("", 64));
    CHECK_FALSE(pages("SHOALDIF", ~std::uint64_t{0} / page_bytes));
}

}  // namespace shoal::checkpoints::test
