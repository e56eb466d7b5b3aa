// From what an image is imported from to its file.
#pragma once

#include <string>

#include "controlplane/image/guarded_child.h"
#include "controlplane/model/image.h"

namespace shoal::images {

// Leaves in the guard's folder, which is empty, that file alone, and says what the image is but for
// its digest. The same image gives the same file. `vmm`, the path of shoal-vmm, looks at kernels.
// Waits: not for the loop's thread. Throws std::runtime_error with a sentence.
[[nodiscard]] model::Image build_image(const model::ImageSpec& spec, const std::string& vmm,
                                       const Guard& guard);

}  // namespace shoal::images
