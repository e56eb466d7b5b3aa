// What is being made, beside what is whole: under names of its own, which after a restart of shoald
// are nobody's.
#pragma once

#include <string>
#include <string_view>

namespace shoal::content {

// Such names begin like this.
inline constexpr const char* partial_prefix = ".partial-";

[[nodiscard]] inline bool is_partial(std::string_view name) {
    return name.starts_with(partial_prefix);
}

// An empty folder in `folder`; its path. Throws std::system_error.
[[nodiscard]] std::string make_partial_folder(const std::string& folder);

// Creates `folder` if it is missing, and deletes what an earlier shoald was making there. Throws
// std::system_error.
void prepare_folder(const std::string& folder);

}  // namespace shoal::content
