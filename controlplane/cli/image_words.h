// The words of `shoal image import`.
#pragma once

#include <string>

namespace shoal::cli {

// oci:FOLDER and the like, with a path that shoald finds, too. Others stay as they are.
[[nodiscard]] std::string with_absolute_path(const std::string& from);

// What comes last in it, without a tag, as a name: "redis" of docker://docker.io/library/redis:7.
// Throws CliError where there is none.
[[nodiscard]] std::string image_name(const std::string& from);

}  // namespace shoal::cli
