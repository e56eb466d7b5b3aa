// Times for people and programs: 2026-11-27T13:05:09.123Z.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace shoal::node {

// Milliseconds since 1970, UTC.
[[nodiscard]] std::string to_rfc3339(std::int64_t ms);
// Nothing, where it is not as to_rfc3339() writes it.
[[nodiscard]] std::optional<std::int64_t> from_rfc3339(const std::string& text);

}  // namespace shoal::node
