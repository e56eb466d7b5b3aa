// JSON for people: a table of objects, or all of one.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace shoal::cli {

// Throws CliError, in which `what` names the text.
[[nodiscard]] boost::json::value parse_json(const std::string& text, const std::string& what);

// "status.phase" in nested objects. Null when there is none.
[[nodiscard]] const boost::json::value* find(const boost::json::value& document,
                                             std::string_view path);
// As a cell of a table: a string as it is, null as "-".
[[nodiscard]] std::string text_of(const boost::json::value* value);

struct Column {
    std::string_view title;
    std::string_view path;
};

// Columns as wide as their widest cell; the last one as it comes.
[[nodiscard]] std::string to_table(const boost::json::array& items,
                                   const std::vector<Column>& columns);

// A line for each value, indented. Empty ones are left out.
[[nodiscard]] std::string to_description(const boost::json::value& document);

}  // namespace shoal::cli
