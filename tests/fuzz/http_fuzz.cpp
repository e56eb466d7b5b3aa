// Fuzzes a connection of the API: the input is what a client sends, cut where its first byte says.
//
// Whatever comes, bytes are consumed, memory is bounded, and every response is well-formed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "devices/host/check.h"
#include "vmm/api/request_parser.h"
#include "vmm/api/utf8.h"

namespace {

using shoal::api::RequestParser;

constexpr std::size_t max_body_bytes = 300;

void check(const shoal::api::Request& request) {
    SHOAL_CHECK(!request.body || request.body->size() <= max_body_bytes);
    SHOAL_CHECK(request.path.empty() || request.path.front() == '/');
    SHOAL_CHECK(shoal::api::is_utf8(request.path));
}

void feed(RequestParser& parser, std::string_view bytes) {
    for (;;) {
        const std::size_t before = bytes.size();
        switch (parser.advance(bytes)) {
            case RequestParser::Event::needs_more:
                SHOAL_CHECK(bytes.empty());
                return;
            case RequestParser::Event::has_request:
                check(parser.take_request());
                break;
            case RequestParser::Event::wants_proceed:
                break;
            case RequestParser::Event::is_refused:
                SHOAL_CHECK(shoal::api::is_utf8(parser.error()));
                SHOAL_CHECK(parser.error().size() < 8 * shoal::api::max_line_bytes);
                break;
        }
        SHOAL_CHECK(bytes.size() < before);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    if (size_bytes < 1) {
        return 0;
    }
    // SAFETY: bytes are read as the characters that a socket would bring.
    std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size_bytes - 1};
    const std::size_t piece = std::max<std::size_t>(data[0], 1);
    RequestParser parser{max_body_bytes};
    while (!bytes.empty()) {
        feed(parser, bytes.substr(0, piece));
        bytes.remove_prefix(std::min(piece, bytes.size()));
    }
    return 0;
}
