// Base64 as etcd's JSON gateway speaks it: RFC 4648, padded.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace shoal::store {

[[nodiscard]] std::string to_base64(std::string_view bytes);
// Nothing for what is not base64: a wrong length, character or padding.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace shoal::store
