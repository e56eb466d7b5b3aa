#include "devices/backend/disk.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string>
#include <system_error>

#include "tests/unit/devices/backend/temporary_image.h"

namespace {

using namespace shoal::backend;

std::string error_of(const DiskConfig& config) {
    try {
        const Disk disk{config};
    } catch (const std::exception& error) {
        return error.what();
    }
    return {};
}

}  // namespace

TEST_CASE("a disk counts whole sectors") {
    for (const std::uint64_t size : {0UL, 1UL, 511UL, 512UL, 1023UL, 1024UL, (1UL << 40) + 5}) {
        const TemporaryImage image{size};
        CHECK(Disk{{.path = image.path()}}.capacity_sectors() == size / 512);
    }
}

TEST_CASE("a disk's id stays the same and differs from another's") {
    const TemporaryImage one{512};
    const TemporaryImage other{512};
    CHECK(Disk{{.path = one.path()}}.id() == Disk{{.path = one.path()}}.id());
    CHECK(Disk{{.path = one.path()}}.id() != Disk{{.path = other.path()}}.id());
}

TEST_CASE("an image that cannot be used is refused with its name") {
    SUBCASE("it is not there") {
        const std::string error = error_of({.path = "/tmp/shoal-no-such-image"});
        CHECK(error.find("/tmp/shoal-no-such-image") != std::string::npos);
        CHECK(error.find("No such file") != std::string::npos);
    }
    SUBCASE("it is a folder") {
        CHECK(error_of({.path = "/tmp"}).find("/tmp") != std::string::npos);
        CHECK(error_of({.path = "/tmp", .access = DiskAccess::read_only}).find("neither") !=
              std::string::npos);
    }
    SUBCASE("it is a character device") {
        CHECK(error_of({.path = "/dev/null"}).find("/dev/null is neither") != std::string::npos);
    }
    SUBCASE("it is a pipe that nobody writes to: opening it does not wait") {
        const TemporaryImage image{0};
        const std::string path = image.path() + ".pipe";
        REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
        CHECK(error_of({.path = path, .access = DiskAccess::read_only}).find("neither") !=
              std::string::npos);
        ::unlink(path.c_str());
    }
    SUBCASE("its name is empty") {
        CHECK_THROWS_AS((Disk{{.path = ""}}), std::system_error);
    }
}

TEST_CASE("a direct disk says which buffers it takes") {
    const TemporaryImage image{1 << 20};
    const Disk disk{{.path = image.path(), .caching = DiskCaching::direct}};
    CHECK(disk.block_bytes() >= 512);
    CHECK(disk.cached_fd() != disk.fd());
    alignas(4096) std::array<std::byte, 8192> memory{};
    std::array<iovec, 2> buffers{{{memory.data(), 4096}, {memory.data() + 4096, 4096}}};
    CHECK(disk.takes(4096, buffers));
    CHECK_FALSE(disk.takes(1, buffers));
    buffers[1].iov_len = 1;
    CHECK_FALSE(disk.takes(4096, buffers));
    buffers[1] = {memory.data() + 4097, 512};
    CHECK_FALSE(disk.takes(4096, buffers));
}

TEST_CASE("a disk with the page cache takes every buffer") {
    const TemporaryImage image{1 << 20};
    const Disk disk{{.path = image.path()}};
    std::array<std::byte, 3> memory{};
    const iovec buffer{memory.data() + 1, 2};
    CHECK(disk.takes(1, std::span{&buffer, 1}));
    CHECK(disk.cached_fd() == disk.fd());
}
