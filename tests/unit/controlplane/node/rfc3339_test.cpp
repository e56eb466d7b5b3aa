#include "controlplane/node/rfc3339.h"

#include <doctest/doctest.h>

namespace shoal::node::test {

TEST_CASE("a time is written and read to the millisecond") {
    CHECK(to_rfc3339(0) == "1970-01-01T00:00:00.000Z");
    CHECK(to_rfc3339(1'795'784'709'123) == "2026-11-27T13:05:09.123Z");
    for (const std::int64_t ms : {0LL, 1LL, 951'782'400'000LL, 1'795'784'709'123LL}) {
        CHECK(from_rfc3339(to_rfc3339(ms)) == ms);
    }
}

TEST_CASE("what is no time, or is written in another way, is none") {
    for (const char* text :
         {"", "2026", "2026-11-27", "2026-11-27T13:05:09Z", "2026-11-27T13:05:09.123",
          "2026-11-27T13:05:09.123Z ", "2026-11-27 13:05:09.123Z", "2026-13-27T13:05:09.123Z",
          "2026-02-30T13:05:09.123Z", "2026-11-27T24:05:09.123Z", "+026-11-27T13:05:09.123Z",
          "2026-11-27T13:05:09.12Z", "-999-11-27T13:05:09.123Z", "9999999999999999999999"}) {
        CAPTURE(text);
        CHECK_FALSE(from_rfc3339(text));
    }
}

}  // namespace shoal::node::test
