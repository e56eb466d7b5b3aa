// Where an image is imported from, as it is written: oci:/FOLDER[:TAG], docker-archive:/FILE[:TAG]
// and docker://NAME[:TAG], as skopeo(1) has them, or erofs:/FILE, a file of mkfs.erofs.
#pragma once

#include <string>
#include <string_view>

namespace shoal::images {

// What is wrong with it, in a sentence; empty: nothing.
[[nodiscard]] std::string refuse_source(std::string_view from);

// The path of erofs:; empty: skopeo knows what it is.
[[nodiscard]] std::string erofs_path(std::string_view from);

}  // namespace shoal::images
