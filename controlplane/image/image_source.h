// Where an image is imported from, as it is written: oci:/FOLDER[:TAG], docker-archive:/FILE[:TAG]
// and docker://NAME[:TAG], as skopeo(1) has them; erofs:/FILE, a file of mkfs.erofs; kernel:/FILE
// and initramfs:/FILE.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "controlplane/model/image.h"

namespace shoal::images {

inline constexpr std::string_view erofs_transport = "erofs:";
inline constexpr std::string_view kernel_transport = "kernel:";
inline constexpr std::string_view initramfs_transport = "initramfs:";
// Those whose file is the image as it is.
inline constexpr std::array file_transports{erofs_transport, kernel_transport, initramfs_transport};
// Those with a path of a host behind them.
inline constexpr std::array<std::string_view, 5> path_transports{
    "oci:", "docker-archive:", erofs_transport, kernel_transport, initramfs_transport};

// What is wrong with it, in a sentence; empty: nothing.
[[nodiscard]] std::string refuse_source(std::string_view from);

[[nodiscard]] model::ImageKind kind_of(std::string_view from);

// The path of erofs:, kernel: or initramfs:; empty: skopeo knows what it is.
[[nodiscard]] std::string file_path(std::string_view from);

}  // namespace shoal::images
