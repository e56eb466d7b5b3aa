// The initramfs writer, checked by reading the archive back.
#include "controlplane/cli/cpio_writer.h"

#include <doctest/doctest.h>
#include <sys/mman.h>

#include <system_error>

#include "controlplane/cli/cli_error.h"
#include "devices/host/unique_fd.h"
#include "tests/unit/controlplane/cli/cpio_reader.h"

namespace shoal::cli {
namespace {

constexpr std::uint64_t no_limit = 1ULL << 40;

host::UniqueFd make_file(std::string_view contents = {}) {
    host::UniqueFd fd{::memfd_create("test", MFD_CLOEXEC)};
    REQUIRE(::write(fd.get(), contents.data(), contents.size()) ==
            static_cast<ssize_t>(contents.size()));
    return fd;
}

std::string pattern(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t at = 0; at < size; ++at) {
        bytes[at] = static_cast<char>('a' + at * 7 % 26);
    }
    return bytes;
}

TEST_CASE("an archive of nothing is a trailer") {
    const auto fd = make_file();
    CpioWriter archive{fd.get(), no_limit};
    const std::uint64_t size = archive.finish();
    CHECK(read_whole(fd.get()).size() == size);
    CHECK(size % 4 == 0);
    CHECK(read_cpio(read_whole(fd.get())).empty());
}

TEST_CASE("files, directories and links are read back as they were added") {
    const auto fd = make_file();
    const auto source = make_file(pattern(10'000));
    const std::string words{"a\0b\0", 4};
    CpioWriter archive{fd.get(), no_limit};
    archive.add_directory("bin", {S_IFDIR | 0755, 1, 2, 3, 0x12345678});
    archive.add_symlink("bin/link", {S_IFLNK | 0777, 0, 0, 1, 0}, "../target");
    archive.add_file("words", {S_IFREG | 0400, 0xFFFFFFFF, 7, 1, 9},
                     std::as_bytes(std::span{words}));
    archive.add_file("bin/prog", {S_IFREG | 0755, 0, 0, 1, 0}, source.get(), 10'000);
    archive.finish();

    const auto entries = read_cpio(read_whole(fd.get()));
    REQUIRE(entries.size() == 4);
    CHECK(entries[0].name == "bin");
    CHECK(entries[0].mode() == (S_IFDIR | 0755));
    CHECK(entries[0].fields[2] == 1);
    CHECK(entries[0].fields[3] == 2);
    CHECK(entries[0].fields[4] == 3);
    CHECK(entries[0].fields[5] == 0x12345678);
    CHECK(entries[1].data == "../target");
    CHECK(entries[2].data == words);
    CHECK(entries[2].fields[2] == 0xFFFFFFFF);
    CHECK(entries[3].data == pattern(10'000));
}

TEST_CASE("the data of a file of a page or more starts on a page") {
    for (std::size_t name_size = 1; name_size < 300; name_size += 13) {
        const auto fd = make_file();
        const auto source = make_file(pattern(4096));
        const std::string name(name_size, 'n');
        CpioWriter archive{fd.get(), no_limit};
        archive.add_directory(".", {S_IFDIR | 0755, 0, 0, 2, 0});
        archive.add_file(name, {S_IFREG | 0755, 0, 0, 1, 0}, source.get(), 4096);
        archive.add_file("small", {S_IFREG | 0755, 0, 0, 1, 0}, source.get(), 4095);
        archive.finish();
        const auto entries = read_cpio(read_whole(fd.get()));
        REQUIRE(entries.size() == 3);
        CHECK(entries[1].name == name);
        CHECK(entries[1].data_at % 4096 == 0);
        CHECK(entries[1].data == pattern(4096));
        CHECK(entries[1].fields[11] <= 4096);  // what Linux accepts
        CHECK(entries[2].data == pattern(4095));
        CHECK(entries[2].fields[11] == 6);
    }
}

TEST_CASE("many small entries are written in order, through any buffer") {
    const auto fd = make_file();
    CpioWriter archive{fd.get(), no_limit};
    for (int idx = 0; idx < 2'000; ++idx) {
        archive.add_directory("d" + std::to_string(idx), {S_IFDIR | 0755, 0, 0, 2, 0});
    }
    archive.finish();
    const auto entries = read_cpio(read_whole(fd.get()));
    REQUIRE(entries.size() == 2'000);
    CHECK(entries[1'999].name == "d1999");
    CHECK(entries[1'999].fields[0] == 2'000);
}

TEST_CASE("what an archive cannot hold is refused") {
    const auto fd = make_file();
    const auto source = make_file(pattern(100));
    const CpioMetadata file{S_IFREG | 0644, 0, 0, 1, 0};
    SUBCASE("a file beyond 32 bits of size") {
        CpioWriter archive{fd.get(), no_limit};
        CHECK_THROWS_AS(archive.add_file("big", file, source.get(), 1ULL << 32), CliError);
        CHECK_THROWS_AS(archive.add_file("big", file, source.get(), ~0ULL), CliError);
    }
    SUBCASE("more than the limit") {
        CpioWriter archive{fd.get(), 8'192};
        CHECK_THROWS_AS(archive.add_file("big", file, source.get(), 8'192), CliError);
        archive.add_file("small", file, source.get(), 100);
        CHECK_THROWS_AS(archive.add_file("big", file, source.get(), 8'000), CliError);
    }
    SUBCASE("a limit of 0") {
        CpioWriter archive{fd.get(), 0};
        CHECK_THROWS_AS(archive.add_directory("d", file), CliError);
    }
    SUBCASE("a path beyond 4095 bytes") {
        CpioWriter archive{fd.get(), no_limit};
        archive.add_directory(std::string(4095, 'n'), file);
        CHECK_THROWS_AS(archive.add_directory(std::string(4096, 'n'), file), CliError);
    }
    SUBCASE("a file that became shorter") {
        CpioWriter archive{fd.get(), no_limit};
        CHECK_THROWS_AS(archive.add_file("cut", file, source.get(), 101), CliError);
    }
    SUBCASE("a descriptor that cannot be written") {
        CpioWriter archive{-1, no_limit};
        CHECK_THROWS_AS(archive.finish(), std::system_error);
    }
}

TEST_CASE("times that 32 bits cannot hold are cut") {
    struct stat status {};
    status.st_mtim.tv_sec = -5;
    CHECK(CpioMetadata::from(status).mtime_s == 0);
    status.st_mtim.tv_sec = 1LL << 40;
    CHECK(CpioMetadata::from(status).mtime_s == 0xFFFFFFFF);
}

TEST_CASE("a file's whole pages can be left out, for somebody else to put there") {
    const auto fd = make_file();
    CpioWriter archive{fd.get(), no_limit};
    const std::string bytes = pattern(2 * 4096 + 100);
    const auto source = make_file(bytes);
    const auto hole =
        archive.add_file_with_hole("file", {S_IFREG | 0644}, source.get(), bytes.size());
    REQUIRE(hole.has_value());
    CHECK(*hole % 4096 == 0);
    archive.add_file("next", {S_IFREG | 0644}, {});
    archive.finish();
    const auto entries = read_cpio(read_whole(fd.get()));
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].data_at == *hole);
    CHECK(entries[0].data == std::string(2 * 4096, '\0') + bytes.substr(2 * 4096));
    CHECK(entries[1].name == "next");
}

}  // namespace
}  // namespace shoal::cli
