// Fuzzes names of run folders and of checkpoints, which other hosts ask for: one name for each.
#include "controlplane/node/mirror/attempt.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "controlplane/model/json.h"
#include "devices/host/check.h"

using namespace shoal;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // SAFETY: bytes seen as chars.
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    if (const auto attempt = node::attempt_in(text)) {
        SHOAL_CHECK(node::to_folder_name(*attempt) == text);
        SHOAL_CHECK(model::is_name(attempt->name) && attempt->created >= 0);
        SHOAL_CHECK(text.find('/') == std::string_view::npos);
    }
    return 0;
}
