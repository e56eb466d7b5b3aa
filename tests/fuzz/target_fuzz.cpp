// The target of an API request: whatever it is, it is taken apart or refused in one sentence.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "controlplane/api/problem.h"
#include "controlplane/api/target.h"
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
    return 0;
}
