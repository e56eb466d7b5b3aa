// Times for people and programs: 2026-11-27T13:05:09.123Z.
#pragma once

#include <cstdint>
#include <string>

namespace shoal::node {

// Milliseconds since 1970, UTC.
[[nodiscard]] std::string to_rfc3339(std::int64_t ms);

}  // namespace shoal::node
