#include "vmm/migration/page_content.h"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "vmm/migration/page_run.h"

namespace shoal::migration {
namespace {

constexpr std::uint64_t size_bytes = 70 * page_bytes + 512;

struct Drive {
    int fd = ::memfd_create("drive", MFD_CLOEXEC);
    std::shared_ptr<machine::WriteLog> writes = std::make_shared<machine::WriteLog>(size_bytes);
    DriveContent content{3, {host::UniqueFd{fd}, size_bytes, writes}};
    std::vector<std::byte> buffer = std::vector<std::byte>(max_run_pages * page_bytes);

    Drive() {
        REQUIRE(::ftruncate(fd, 71 * page_bytes) == 0);  // a partial page would be data
        writes->start();
    }
};

TEST_CASE("a drive has its last, partial page, with zeros behind it") {
    Drive drive;
    std::ranges::fill(drive.buffer, std::byte{9});
    REQUIRE(::pwrite(drive.fd, "end", 3, size_bytes - 3) == 3);
    CHECK(drive.content.page_count() == 71);
    CHECK(drive.content.drive() == 3U);
    const auto pages = drive.content.read(69, 2, drive.buffer);
    CHECK(pages.size() == 2 * page_bytes);
    CHECK(pages[page_bytes + 509] == std::byte{'e'});
    CHECK(pages[page_bytes + 512] == std::byte{0});
    CHECK(pages.back() == std::byte{0});
}

TEST_CASE("only what is no hole, or was written to, is to be copied") {
    Drive drive;
    CHECK(count_pages(drive.content.data()) == 0);
    REQUIRE(::pwrite(drive.fd, "x", 1, 66 * page_bytes) == 1);
    CHECK(drive.content.data() == PageSet{0, 1 << 2});
    PageSet written = vmm::empty_set(size_bytes);
    drive.writes->add(size_bytes - 512, 512);
    drive.content.take_written(written);
    CHECK(written == PageSet{0, 1 << 6});
}

TEST_CASE("a file that became shorter cannot be read to its end") {
    Drive drive;
    REQUIRE(::ftruncate(drive.fd, page_bytes) == 0);
    CHECK_THROWS_AS(static_cast<void>(drive.content.read(0, 2, drive.buffer)), std::system_error);
}

}  // namespace
}  // namespace shoal::migration
