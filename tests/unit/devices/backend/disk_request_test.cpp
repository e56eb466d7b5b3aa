// Which calls a request comes to.
#include "devices/backend/disk_request.h"

#include <doctest/doctest.h>

#include <cerrno>

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

}  // namespace
}  // namespace shoal::backend
