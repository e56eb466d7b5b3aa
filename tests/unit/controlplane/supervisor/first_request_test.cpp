#include "controlplane/supervisor/first_request.h"

#include <doctest/doctest.h>

namespace shoal::supervisor {

TEST_CASE("a VMM's answer is read as far as it counts") {
    CHECK(verdict_of("") == Verdict::incomplete);
    CHECK(verdict_of("HTTP/1.1 204 No Content\r\n") == Verdict::incomplete);
    CHECK(verdict_of("HTTP/1.1 204 No Content\r\n\r\n") == Verdict::accepted);
    CHECK(verdict_of("HTTP/1.1 400 Bad Request\r\n\r\n") == Verdict::refused);
    const std::string head = "HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\n";
    CHECK(verdict_of(head) == Verdict::incomplete);
    CHECK(verdict_of(head + "1234") == Verdict::incomplete);
    CHECK(verdict_of(head + "12345") == Verdict::refused);
    SUBCASE("a length that is no number, or is more than will be read, ends somewhere") {
        CHECK(verdict_of("HTTP/1.1 400 x\r\ncontent-length: x\r\n\r\n") == Verdict::refused);
        const std::string endless = "HTTP/1.1 400 x\r\ncontent-length: 99999999\r\n\r\n";
        CHECK(verdict_of(endless) == Verdict::incomplete);
        CHECK(verdict_of(endless + std::string(16384, 'x')) == Verdict::refused);
    }
    SUBCASE("a head without an end is refused at its limit") {
        CHECK(verdict_of(std::string(16384, 'x')) == Verdict::incomplete);
        CHECK(verdict_of(std::string(16385, 'x')) == Verdict::refused);
    }
}

}  // namespace shoal::supervisor
