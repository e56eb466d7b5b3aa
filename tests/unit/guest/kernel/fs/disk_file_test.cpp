// /dev/vda: transfers at any offset reach the disk's bytes.
#include "guest/kernel/fs/disk_file.h"

#include <doctest/doctest.h>

#include <random>

#include "tests/unit/guest/kernel/fs/fake_disk.h"
#include "tests/unit/guest/kernel/fs/fake_kernel.h"

namespace shoal::guest {
namespace {

struct DiskKernel {
    explicit DiskKernel(std::size_t size) : disk{std::vector<std::byte>(size)} {
        devices.add_disk(disk);
        REQUIRE(devices.populate());
    }
    [[nodiscard]] Result<OpenFileRef> open(std::uint32_t flags) {
        return OpenFile::open(*files.find("/dev/vda"), flags);
    }

    fake::FakeDisk disk;
    fake::Console console;
    FileSystem files{fake::now};
    Devices devices{files, console, fake::fill_random};
};

Result<std::size_t> write_at(OpenFile& file, std::uint64_t offset, std::string_view text) {
    SpanSource source{std::as_bytes(std::span{text})};
    return file.inode().write(file, offset, source, text.size());
}

std::string read_at(OpenFile& file, std::uint64_t offset, std::size_t count) {
    std::string text(count, '?');
    SpanDestination to{std::as_writable_bytes(std::span{text})};
    const auto done = file.inode().read(file, offset, to, count);
    text.resize(done ? *done : 0);
    return text;
}

TEST_CASE("others run while a disk is waited for, and find its buffer taken") {
    DiskKernel kernel{4096 * 4};
    const auto file = kernel.open(open_flags::read_write);
    REQUIRE(file);
    REQUIRE(write_at(**file, 0, "first"));
    REQUIRE(write_at(**file, 8192, "second"));
    CHECK(kernel.disk.sleeps == 4);
    CHECK(read_at(**file, 8192, 6) == "second");
    CHECK(kernel.disk.sleeps == 5);
}

TEST_CASE("a disk file is a model's equal under random transfers") {
    constexpr std::size_t size = 600 * 512;
    DiskKernel kernel{size};
    const auto file = kernel.open(open_flags::read_write);
    REQUIRE(file);
    std::string model(size, '\0');
    std::mt19937 random{7};
    const auto below = [&](std::size_t end) { return random() % end; };
    for (int step = 0; step < 300; ++step) {
        const std::size_t at = below(size);
        const std::string text(below(step % 10 == 0 ? 200'000 : 3000) + 1,
                               static_cast<char>('a' + below(26)));
        const std::size_t fits = std::min(text.size(), size - at);
        REQUIRE(*write_at(**file, at, text) == fits);
        model.replace(at, fits, text, 0, fits);
        const std::size_t from = below(size);
        REQUIRE(read_at(**file, from, 10'000) == model.substr(from, 10'000));
    }
    CHECK(std::memcmp(kernel.disk.bytes.data(), model.data(), size) == 0);
}

TEST_CASE("the ends of a disk are what Linux makes of them") {
    DiskKernel kernel{4096};
    const auto file = kernel.open(open_flags::read_write);
    CHECK(read_at(**file, 4096, 10).empty());
    CHECK(write_at(**file, 4096, "x").error() == Errno::nospc);
    CHECK(*write_at(**file, 4090, "0123456789") == 6);
    CHECK(read_at(**file, 4090, 100) == "012345");
    REQUIRE((*file)->inode().sync());
    CHECK(kernel.disk.flushes == 1);
    kernel.disk.broken.insert(0);
    CHECK(write_at(**file, 0, "x").error() == Errno::io);
}

TEST_CASE("a read-only disk is not opened to be written, and an absent one not at all") {
    DiskKernel kernel{4096};
    kernel.disk.the_access = BlockDevice::Access::read_only;
    CHECK(kernel.open(open_flags::read_write).error() == Errno::acces);
    CHECK(kernel.open(open_flags::read_only));
    const InodeRef absent = kernel.devices.make(FileType::block_device, 0600, 254, 16);
    CHECK(OpenFile::open(Entry::make(nullptr, "x", absent), 0).error() == Errno::nxio);
}

}  // namespace
}  // namespace shoal::guest
