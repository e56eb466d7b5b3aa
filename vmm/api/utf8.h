// UTF-8: whether a text is, and a text made so.
#pragma once

#include <string>
#include <string_view>

namespace shoal::api {

[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

// Every byte that belongs to no character becomes U+FFFD.
[[nodiscard]] std::string to_utf8(std::string_view text);

}  // namespace shoal::api
