// What an OCI image layout says about its one image (OCI Image Specification 1.0). Strangers have
// written it.
#pragma once

#include <string>
#include <string_view>

#include "controlplane/model/image.h"

namespace shoal::images {

// Of JSON the text at a JSON pointer, "sha256:" and 64 hexadecimal digits: the digits. Throws
// std::runtime_error with a sentence.
[[nodiscard]] std::string digest_at(std::string_view text, std::string_view pointer);

// What the configuration says about the program. Throws std::runtime_error with a sentence, also
// for other machines than ours.
[[nodiscard]] model::Image defaults_in(std::string_view text);

// The same of the layout in a folder, whose files are as their names say. Throws also
// std::system_error.
[[nodiscard]] model::Image read_defaults(const std::string& layout);

}  // namespace shoal::images
