// The version that `--version` of every program prints: the one of CHANGELOG.md's next release.
#pragma once

namespace shoal::host {

inline constexpr const char* version = "0.1.0";

}  // namespace shoal::host
