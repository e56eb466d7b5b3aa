// What a template is on a host's disk: a bundle of two files.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "controlplane/content/bundle_folder.h"

namespace shoal::templates {

inline constexpr std::array<const char*, 2> file_names{"state", "memory"};
inline constexpr content::BundleKind bundle_kind{"template", file_names};

[[nodiscard]] inline std::string state_in(const std::string& folder) {
    return folder + "/state";
}
[[nodiscard]] inline std::string memory_in(const std::string& folder) {
    return folder + "/memory";
}

// Below them where there is one (vmm/state/working_set.h), and no part of the content: hosts do not
// fetch it from one another. In a folder of its own, since the clone that records it may write
// there, and not to what others start from.
[[nodiscard]] inline std::string working_set_folder_in(const std::string& folder) {
    return folder + "/working-set";
}
[[nodiscard]] inline std::string working_set_in(const std::string& folder) {
    return working_set_folder_in(folder) + "/pages";
}

// What a template's folder takes of the disk, and the microVM's memory.
struct Sizes {
    std::uint64_t disk_bytes = 0;
    std::uint64_t memory_mib = 0;
};
// Throws std::system_error.
[[nodiscard]] Sizes sizes_of(const std::string& folder);

}  // namespace shoal::templates
