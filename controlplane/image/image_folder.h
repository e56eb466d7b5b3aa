// What an image is on a host's disk: a bundle of one file.
#pragma once

#include <array>
#include <string>

#include "controlplane/content/bundle_folder.h"

namespace shoal::images {

// Also where it is a kernel or an initramfs: it is the name by which hosts ask one another.
inline constexpr std::array<const char*, 1> file_names{"root.erofs"};
inline constexpr content::BundleKind bundle_kind{"image", file_names};

[[nodiscard]] inline std::string file_in(const std::string& folder) {
    return folder + "/root.erofs";
}

}  // namespace shoal::images
