// The target of an API request: whatever it is, it is taken apart or refused in one sentence, and
// what is put together again is the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/http/problem.h"
#include "controlplane/http/target.h"
#include "devices/host/check.h"

using namespace shoal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // SAFETY: bytes seen as chars.
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    rest::Request request;
    try {
        rest::parse_target(text, request);
    } catch (const rest::Problem& problem) {
        SHOAL_CHECK(problem.status() >= 400 && problem.status() < 500);
        return 0;
    }
    SHOAL_CHECK(request.path.size() <= rest::max_segments);
    SHOAL_CHECK(request.query.size() <= rest::max_parameters);
    for (const auto& segment : request.path) {
        SHOAL_CHECK(segment.find('\0') == std::string::npos || text.find('\0') != text.npos);
    }
    // No route has an empty segment, and no client sends a NUL as it is.
    if (text.find('\0') != text.npos || std::ranges::count(request.path, "") != 0) {
        return 0;
    }
    const std::string again = rest::to_target(request);
    if (again.size() <= rest::max_target_bytes) {
        rest::Request same;
        rest::parse_target(again, same);
        SHOAL_CHECK(same.path == request.path && same.query == request.query);
    }
    return 0;
}
