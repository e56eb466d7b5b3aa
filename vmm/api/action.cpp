// Ids in paths.
#include "vmm/api/action.h"

#include <algorithm>

namespace shoal::api {

std::string_view parse_id(const Call& call) {
    if (call.path_rest.empty() || call.path_rest.front().empty()) {
        throw Fault{"The ID cannot be empty."};
    }
    const std::string_view id = call.path_rest.front();
    const auto is_allowed = [](char byte) {
        return byte == '_' || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
               (byte >= 'A' && byte <= 'Z');
    };
    if (!std::ranges::all_of(id, is_allowed)) {
        throw Fault{"API Resource IDs can only contain alphanumeric characters and underscores."};
    }
    return id;
}

}  // namespace shoal::api
