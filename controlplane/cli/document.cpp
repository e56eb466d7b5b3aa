// Control characters are not for terminals: they are shown as '?'.
#include "controlplane/cli/document.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "controlplane/cli/cli_error.h"

namespace shoal::cli {
namespace {

namespace json = boost::json;

std::string printable(std::string text) {
    std::ranges::replace_if(
        text, [](char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F; },
        '?');
    return text;
}

bool is_empty(const json::value& value) {
    return value.is_null() || (value.is_string() && value.get_string().empty()) ||
           (value.is_array() && value.get_array().empty()) ||
           (value.is_object() && value.get_object().empty());
}

void describe(const json::value& value, std::size_t depth, std::string& text) {
    for (const auto& [key, member] : value.get_object()) {
        if (is_empty(member)) {
            continue;
        }
        text.append(depth * 2, ' ').append(printable(std::string{key})).append(":");
        if (member.is_object()) {
            text += "\n";
            describe(member, depth + 1, text);
        } else {
            text += " " + text_of(&member) + "\n";
        }
    }
}

}  // namespace

json::value parse_json(const std::string& text, const std::string& what) {
    json::error_code error;
    json::value document = json::parse(text, error);
    if (error) {
        throw CliError(what + " is not JSON: " + error.message());
    }
    return document;
}

const json::value* find(const json::value& document, std::string_view path) {
    const json::value* at = &document;
    while (at != nullptr && !path.empty()) {
        const std::size_t dot = std::min(path.find('.'), path.size());
        at = at->is_object() ? at->get_object().if_contains({path.data(), dot}) : nullptr;
        path.remove_prefix(std::min(dot + 1, path.size()));
    }
    return at;
}

std::string text_of(const json::value* value) {
    if (value == nullptr || is_empty(*value)) {
        return "-";
    }
    return printable(value->is_string() ? std::string{value->get_string()}
                                        : json::serialize(*value));
}

std::string to_table(const json::array& items, const std::vector<Column>& columns) {
    std::vector<std::vector<std::string>> rows(1);
    for (const Column& column : columns) {
        rows[0].emplace_back(column.title);
    }
    for (const json::value& item : items) {
        auto& row = rows.emplace_back();
        for (const Column& column : columns) {
            row.push_back(text_of(find(item, column.path)));
        }
    }
    std::string text;
    std::vector<std::size_t> widths(columns.size());
    for (const auto& row : rows) {
        for (std::size_t at = 0; at < row.size(); ++at) {
            widths[at] = std::max(widths[at], row[at].size());
        }
    }
    for (const auto& row : rows) {
        for (std::size_t at = 0; at + 1 < row.size(); ++at) {
            text.append(row[at]).append(widths[at] + 3 - row[at].size(), ' ');
        }
        text.append(row.back()).append("\n");
    }
    return text;
}

std::string to_description(const json::value& document) {
    std::string text;
    if (document.is_object()) {
        describe(document, 0, text);
    }
    return text;
}

}  // namespace shoal::cli
