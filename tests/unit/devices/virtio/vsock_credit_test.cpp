// Credit is arithmetic that wraps.
#include "devices/virtio/vsock_credit.h"

#include <doctest/doctest.h>

namespace shoal::virtio {
namespace {

abi::virtio::vsock::Header saying(std::uint32_t buf_alloc, std::uint32_t fwd_cnt) {
    abi::virtio::vsock::Header header{};
    header.buf_alloc = buf_alloc;
    header.fwd_cnt = fwd_cnt;
    return header;
}

TEST_CASE("a guest that has said nothing has no room") {
    CHECK(VsockCredit{1000}.available() == 0);
}

TEST_CASE("what is sent takes room, and what the guest has read gives it back") {
    VsockCredit credit{1000};
    credit.hear(saying(100, 0));
    CHECK(credit.available() == 100);
    credit.sent(100);
    CHECK(credit.available() == 0);
    credit.hear(saying(100, 30));
    CHECK(credit.available() == 30);
    SUBCASE("a buffer that shrinks below what is in flight") {
        credit.hear(saying(50, 30));
        CHECK(credit.available() == 0);
    }
    SUBCASE("a guest that has read more than it was sent") {
        credit.hear(saying(100, 101));
        CHECK(credit.available() == 0);
    }
    SUBCASE("counters that wrap") {
        credit.sent(0xFFFF'FFFF - 50);
        credit.hear(saying(100, 49));
        CHECK(credit.available() == 100);
        credit.sent(10);
        CHECK(credit.available() == 90);
    }
}

TEST_CASE("news are due when half of the buffer may seem full and is not") {
    VsockCredit credit{1000};
    credit.forwarded(499);
    CHECK_FALSE(credit.is_announcement_due());
    credit.forwarded(1);
    CHECK(credit.is_announcement_due());
    abi::virtio::vsock::Header header{};
    credit.announce(header);
    CHECK(header.fwd_cnt == 500);
    CHECK(header.buf_alloc == 1000);
    CHECK_FALSE(credit.is_announcement_due());
}

}  // namespace
}  // namespace shoal::virtio
