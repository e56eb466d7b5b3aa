// Archives in the file system, and archives that mean harm.
#include "guest/kernel/fs/initramfs.h"

#include <doctest/doctest.h>
#include <zlib.h>

#include <cstdlib>
#include <cstring>
#include <list>
#include <string>
#include <vector>

#include "guest/kernel/fs/gzip.h"
#include "tests/unit/guest/kernel/fs/archive_builder.h"
#include "tests/unit/guest/kernel/fs/fake_kernel.h"

namespace shoal::guest {
namespace {

using fake::ArchiveBuilder;

struct Machine {
    std::list<std::string> archives;  // what the file system borrows from
    fake::Console console;
    FileSystem files{fake::now};
    Devices devices{files, console, fake::fill_random};

    // "" if all went well.
    std::string unpack(const ArchiveBuilder& builder) {
        archives.push_back(builder.text());
        const auto done =
            unpack_initramfs(files, devices, std::as_bytes(std::span{archives.back()}));
        return done ? "" : done.error().reason;
    }
    Inode& inode(std::string_view path) {
        const auto found = files.find(files.root(), path, FollowLast::no);
        REQUIRE(found);
        return (*found)->inode();
    }
};

TEST_CASE("the initramfs becomes the file system, with its attributes and without a copy") {
    ArchiveBuilder builder;
    builder.add({.mode = 040700, .mtime_s = 5}, ".");
    builder.add({.mode = 041777, .uid = 3, .mtime_s = 10}, "tmp");
    builder.add({.mode = 0104755, .gid = 4, .mtime_s = 20}, "tmp/file", "content");
    builder.add({.mode = 0120777}, "link", "tmp/file");
    builder.add({.mode = 0100644}, "no/parents/here", "x");
    builder.add({.mode = 020600, .device_major = 1, .device_minor = 3}, "null");
    builder.add({.mode = 060600, .device_major = 8}, "sda");
    builder.add({.mode = 010600}, "pipe").end();
    Machine machine;
    REQUIRE(machine.unpack(builder) == "");
    CHECK(fake::pages_in_use == 0);
    CHECK(fake::content_of(machine.files, "/link") == "content");
    const auto bytes = machine.files.initramfs_bytes("/tmp/file");
    REQUIRE(bytes);
    const std::string_view archive = machine.archives.back();
    CHECK(reinterpret_cast<const char*>(bytes->data()) == &archive[archive.find("content")]);
    CHECK(machine.inode("/tmp/file").mode() == 0104755);
    CHECK(machine.inode("/tmp/file").attributes.gid == 4);
    CHECK(machine.inode("/tmp/file").attributes.modified.seconds == 20);
    CHECK(machine.inode("/tmp").mode() == 041777);
    CHECK(machine.inode("/tmp").attributes.uid == 3);
    CHECK(machine.inode("/tmp").attributes.modified.seconds == 10);
    CHECK(machine.inode("/").attributes.modified.seconds == 5);
    CHECK(machine.inode("/").mode() == 040700);
    CHECK(machine.inode("/no/parents").mode() == 040755);
    CHECK(machine.inode("/null").attributes.device_minor == 3);
    CHECK(fake::read_all(machine.files, "/null").empty());
    CHECK(fake::read_all(machine.files, "/sda") == "errno 6");
    CHECK(machine.inode("/pipe").type() == FileType::fifo);
    CHECK(fake::names_in(machine.files, "/") == "tmp link no null sda pipe ");
}

TEST_CASE("hard links are one file, whichever name has the data") {
    const fake::Header header{.inode = 9, .link_count = 3};
    ArchiveBuilder builder;
    SUBCASE("the last, as GNU cpio writes") {
        builder.add(header, "a").add(header, "b").add(header, "c", "data");
    }
    SUBCASE("the first") {
        builder.add(header, "a", "data").add(header, "b").add(header, "c");
    }
    // Behind a trailer the same number is another file.
    builder.end().add(header, "other", "2").end();
    Machine machine;
    REQUIRE(machine.unpack(builder) == "");
    CHECK(&machine.inode("/a") == &machine.inode("/c"));
    CHECK(&machine.inode("/a") != &machine.inode("/other"));
    CHECK(machine.inode("/b").attributes.link_count == 3);
    CHECK(fake::content_of(machine.files, "/a") == "data");
    CHECK(fake::content_of(machine.files, "/other") == "2");
}

TEST_CASE("many files that claim to have several names cost no quadratic time") {
    ArchiveBuilder builder;
    for (std::uint32_t i = 0; i < 20000; ++i) {
        builder.add({.inode = i * 65536, .link_count = 2}, "f" + std::to_string(i), "x");
    }
    Machine machine;
    CHECK(machine.unpack(builder) == "");
    CHECK(machine.inode("/f19999").attributes.link_count == 1);
}

TEST_CASE("a later member replaces an earlier one of that name") {
    ArchiveBuilder builder;
    builder.add({}, "x", "old").add_directory("d").add({}, "d/in", "1").add({}, "e", "file");
    builder.end().add({}, "x", "new").add({.mode = 040700}, "d").add_directory("e").end();
    Machine machine;
    REQUIRE(machine.unpack(builder) == "");
    CHECK(fake::content_of(machine.files, "/x") == "new");
    CHECK(machine.inode("/d").mode() == 040700);
    CHECK(fake::content_of(machine.files, "/d/in") == "1");
    CHECK(machine.inode("/e").type() == FileType::directory);

    SUBCASE("but no directory with files in it") {
        CHECK(machine.unpack(ArchiveBuilder{}.add({}, "d", "x")) ==
              "a file replaces what cannot be removed");
    }
    SUBCASE("and a second name of one file may replace the first") {
        const fake::Header header{.inode = 1, .link_count = 2};
        REQUIRE(machine.unpack(ArchiveBuilder{}.add(header, "y", "1").add(header, "y")) == "");
        CHECK(fake::content_of(machine.files, "/y") == "1");
        CHECK(machine.inode("/y").attributes.link_count == 1);
    }
}

TEST_CASE("names that lead astray are refused") {
    Machine machine;
    const auto with_name = [&](std::string_view name) {
        return machine.unpack(ArchiveBuilder{}.add({}, name, "x"));
    };
    CHECK(with_name("../x") == "a name has \"..\" in it");
    CHECK(with_name("a/../../x") == "a name has \"..\" in it");
    CHECK(with_name("a/..") == "a name has \"..\" in it");
    CHECK(with_name("..") == "a name has \"..\" in it");
    CHECK(with_name("a..b") == "");
    CHECK(with_name("/") == "a file cannot be made");
    CHECK(with_name(".") == "a file cannot be made");
    CHECK(with_name("dir/") != "");
    CHECK(with_name(std::string(300, 'n')) == "a name leads nowhere");
    CHECK(with_name("a..b/x") == "a name leads nowhere");
    CHECK(with_name("/absolute") == "");
    CHECK(fake::content_of(machine.files, "/absolute") == "x");
    CHECK(
        machine.unpack(ArchiveBuilder{}.add({.mode = 0120777}, "loop", "loop").add({}, "loop/x")) ==
        "a name leads nowhere");
    CHECK(machine.unpack(ArchiveBuilder{}.add({.mode = 0}, "typeless")) ==
          "a file has no known type");
    // As on Linux, a link on the way is followed, and cannot leave the root.
    ArchiveBuilder through;
    through.add({.mode = 0120777}, "lib", "../../usr/lib").add_directory("usr/lib");
    REQUIRE(machine.unpack(through.add({}, "lib/c.so", "elf")) == "");
    CHECK(fake::content_of(machine.files, "/usr/lib/c.so") == "elf");
}

void* allocate(std::size_t size) {
    static void* last[2] = {};
    std::free(last[0]);
    last[0] = last[1];
    last[1] = std::malloc(size);
    return last[1];
}

std::string compress_text(std::string_view text) {
    std::string out(text.size() + 1000, '\0');
    z_stream stream{};
    deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

std::expected<std::span<const std::byte>, ArchiveError> inflate_text(const std::string& text) {
    const std::vector<char> copy{text.begin(), text.end()};
    return inflate_gzip(std::as_bytes(std::span{copy}), allocate);
}

TEST_CASE("a compressed archive is inflated whole or not at all") {
    std::string text;
    for (int i = 0; i < 3000; ++i) {
        text += std::to_string(i * 7919) + " ";
    }
    const std::string packed = compress_text(text);
    CHECK(is_gzip(std::as_bytes(std::span{packed})));
    const auto inflated = inflate_text(packed);
    REQUIRE(inflated);
    REQUIRE(inflated->size() == text.size());
    CHECK(std::memcmp(inflated->data(), text.data(), text.size()) == 0);
    REQUIRE(inflate_text(compress_text("")));

    SUBCASE("cut anywhere") {
        for (std::size_t size = 0; size < packed.size(); size += size < 64 ? 1 : 37) {
            CHECK(!inflate_text(packed.substr(0, size)));
        }
        CHECK(!inflate_text(packed.substr(0, packed.size() - 1)));
    }
    SUBCASE("with a trailer that lies about the size") {
        for (const std::uint32_t size :
             {0U, 1U, static_cast<std::uint32_t>(text.size() - 1),
              static_cast<std::uint32_t>(text.size() + 1), 0xFFFFFFFFU}) {
            std::string lie = packed;
            std::memcpy(lie.data() + lie.size() - 4, &size, 4);
            CHECK(!inflate_text(lie));
        }
    }
    SUBCASE("with a byte changed or something behind it") {
        std::string changed = packed;
        changed[changed.size() / 2] ^= 1;
        CHECK(!inflate_text(changed));
        CHECK(!inflate_text(packed + "more"));
    }
    SUBCASE("without memory") {
        CHECK(!inflate_gzip(std::as_bytes(std::span{packed}),
                            [](std::size_t) -> void* { return nullptr; }));
    }
}

}  // namespace
}  // namespace shoal::guest
