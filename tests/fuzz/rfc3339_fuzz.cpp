// Fuzzes times as text, as statuses in the store have them: what is taken is written as it was
// read.
#include "controlplane/node/rfc3339.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "devices/host/check.h"

using namespace shoal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // SAFETY: bytes seen as chars.
    const std::string text{reinterpret_cast<const char*>(data), size};
    if (const auto ms = node::from_rfc3339(text)) {
        SHOAL_CHECK(node::to_rfc3339(*ms) == text);
    }
    // Any second of the years that can be written.
    constexpr std::int64_t end_ms = 253'402'300'800'000;  // of the year 9999
    std::uint64_t number = 0;
    if (size >= sizeof number) {
        std::memcpy(&number, data, sizeof number);
        const auto ms = static_cast<std::int64_t>(number % end_ms);
        SHOAL_CHECK(node::from_rfc3339(node::to_rfc3339(ms)) == ms);
    }
    return 0;
}
