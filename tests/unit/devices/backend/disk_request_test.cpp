// Which calls a request comes to.
#include "devices/backend/disk_request.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <span>
#include <vector>

#include "tests/unit/devices/backend/temporary_image.h"

namespace shoal::backend {
namespace {

using Kind = DiskCall::Kind;
using Afterwards = DiskRequest::Afterwards;

TEST_CASE("a flush may follow a request, and decides how it ends") {
    const TemporaryImage image{1 << 20};
    const Disk disk{{.path = image.path()}};
    DiskRequest request;
    request.set(DiskOperation::write_zeroes, 0, 4096);
    request.afterwards = Afterwards::flush;
    CHECK(next_call(disk, request).kind == Kind::allocate);
    SUBCASE("of one call") {
        CHECK_FALSE(take_result(disk, request, 0));
    }
    SUBCASE("of writes, where the file system knows no better") {
        CHECK_FALSE(take_result(disk, request, -EOPNOTSUPP));
        CHECK(next_call(disk, request).kind == Kind::write);
        CHECK_FALSE(take_result(disk, request, 4096));
    }
    CHECK(next_call(disk, request).kind == Kind::datasync);
    CHECK(take_result(disk, request, -ENOSPC));
    CHECK(request.error == ENOSPC);
}

TEST_CASE("no flush follows what failed") {
    const TemporaryImage image{1 << 20};
    const Disk disk{{.path = image.path()}};
    DiskRequest request;
    request.set(DiskOperation::discard, 0, 4096);
    request.afterwards = Afterwards::flush;
    CHECK(take_result(disk, request, -EIO));
    CHECK(request.error == EIO);
}

TEST_CASE("the longest request of a Linux guest is one call, and longer ones are several") {
    constexpr std::uint64_t longest = 1280 << 10;  // BLK_DEF_MAX_SECTORS_CAP
    constexpr std::size_t buffer_bytes = 128 << 10;
    const TemporaryImage image{2 * longest};
    const Disk disk{{.path = image.path()}};
    std::vector<std::byte> memory(buffer_bytes);
    std::vector<iovec> buffers(2 * longest / buffer_bytes, iovec{memory.data(), memory.size()});
    DiskRequest request;
    SUBCASE("as long as that") {
        request.set(DiskOperation::write, 0, longest,
                    std::span{buffers}.first(longest / buffer_bytes));
        CHECK(next_call(disk, request).size_bytes == longest);
        CHECK(take_result(disk, request, longest));
    }
    SUBCASE("twice as long") {
        request.set(DiskOperation::write, 0, 2 * longest, buffers);
        CHECK(next_call(disk, request).size_bytes == longest);
        CHECK_FALSE(take_result(disk, request, longest));
        CHECK(next_call(disk, request).offset == longest);
        CHECK(take_result(disk, request, longest));
    }
}

}  // namespace
}  // namespace shoal::backend
