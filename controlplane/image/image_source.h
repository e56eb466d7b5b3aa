// Where an image is imported from, as it is written: oci:/FOLDER[:TAG], docker-archive:/FILE[:TAG]
// and docker://NAME[:TAG], as skopeo(1) has them, or erofs:/FILE, a file of mkfs.erofs.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace shoal::images {

inline constexpr std::string_view erofs_transport = "erofs:";
// Those with a path of a host behind them.
inline constexpr std::array<std::string_view, 3> path_transports{
    "oci:", "docker-archive:", erofs_transport};

// What is wrong with it, in a sentence; empty: nothing.
[[nodiscard]] std::string refuse_source(std::string_view from);

// The path of erofs:; empty: skopeo knows what it is.
[[nodiscard]] std::string erofs_path(std::string_view from);

}  // namespace shoal::images
