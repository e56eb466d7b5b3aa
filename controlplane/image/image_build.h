// From what an image is imported from to the file that is a microVM's root.
#pragma once

#include <string>

#include "controlplane/image/guarded_child.h"
#include "controlplane/model/image.h"

namespace shoal::images {

// Leaves in the guard's folder, which is empty, that file alone, and says what the image is but for
// its name and digest. The same image gives the same file. Waits: not for the loop's thread. Throws
// std::runtime_error with a sentence.
[[nodiscard]] model::Image build_image(const std::string& from, const Guard& guard);

}  // namespace shoal::images
