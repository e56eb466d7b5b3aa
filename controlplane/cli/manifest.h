// What a file describes that is created or applied: JSON, or YAML with as many documents as it
// likes.
#pragma once

#include <boost/json/array.hpp>
#include <string>

namespace shoal::cli {

inline constexpr std::size_t max_manifest_bytes = std::size_t{16} << 20;
// A YAML alias is written once and stands for all that it names: a small file could be without end.
inline constexpr std::size_t max_yaml_nodes = 1'000'000;
inline constexpr std::size_t max_yaml_depth = 64;

// The objects of a text, of which an array is taken apart. `what` names it in messages. Throws
// CliError.
[[nodiscard]] boost::json::array parse_manifest(const std::string& text, const std::string& what);

}  // namespace shoal::cli
