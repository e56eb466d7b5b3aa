// What uname(2) and /proc/version say. The release is the Linux whose interface is served.
#pragma once

#include <string_view>

namespace shoal::guest {

inline constexpr std::string_view system_release = "6.1.0-shoal";
inline constexpr std::string_view system_version = "#1 Shoal";

}  // namespace shoal::guest
