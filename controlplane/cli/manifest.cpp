// YAML's plain words become what they are in JSON, by YAML 1.2's core schema: `no` is a word.
#include "controlplane/cli/manifest.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <boost/json/value.hpp>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/document.h"

namespace shoal::cli {
namespace {

namespace json = boost::json;

template <typename Number>
bool parse_number(const std::string& text, Number& number) {
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    return error == std::errc{} && rest == end;
}

json::value plain(const std::string& text) {
    if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
        return nullptr;
    }
    if (text == "true" || text == "True" || text == "TRUE") {
        return true;
    }
    if (text == "false" || text == "False" || text == "FALSE") {
        return false;
    }
    if (std::int64_t whole = 0; parse_number(text, whole)) {
        return whole;
    }
    const bool looks_like_number = text.find_first_of("0123456789") != std::string::npos &&
                                   text.find_first_not_of("+-.0123456789eE") == std::string::npos;
    if (double number = 0;
        looks_like_number && parse_number(text, number) && std::isfinite(number)) {
        return number;
    }
    return json::string{text};
}

class Reader {
public:
    explicit Reader(const std::string& what) : what_{what} {}

    // The document's first line, for messages.
    void begin_at(std::int64_t line) noexcept { first_line_ = line; }

    json::value read(const YAML::Node& node, std::size_t depth) {
        if (depth > max_yaml_depth) {
            refuse(node, "it is nested deeper than " + std::to_string(max_yaml_depth));
        }
        if (++nodes_ > max_yaml_nodes) {
            refuse(node, "it has more than " + std::to_string(max_yaml_nodes) + " values");
        }
        switch (node.Type()) {
            case YAML::NodeType::Scalar:
                // "!" is how the library calls what stood in quotes.
                return node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str"
                           ? json::value(json::string{node.Scalar()})
                           : plain(node.Scalar());
            case YAML::NodeType::Sequence:
                return read_sequence(node, depth);
            case YAML::NodeType::Map:
                return read_map(node, depth);
            case YAML::NodeType::Null:
            case YAML::NodeType::Undefined:
                break;
        }
        return nullptr;
    }

private:
    [[noreturn]] void refuse(const YAML::Node& node, const std::string& why) const {
        throw CliError(what_ + ", line " + std::to_string(first_line_ + node.Mark().line + 1) +
                       ": " + why);
    }
    json::value read_sequence(const YAML::Node& node, std::size_t depth) {
        json::array array;
        for (const YAML::Node& element : node) {
            array.push_back(read(element, depth + 1));
        }
        return array;
    }
    json::value read_map(const YAML::Node& node, std::size_t depth) {
        json::object object;
        for (const auto& member : node) {
            if (!member.first.IsScalar()) {
                refuse(member.first, "a key must be a word");
            }
            const std::string& key = member.first.Scalar();
            if (object.contains(key)) {
                refuse(member.first, "there are two of " + key);
            }
            object[key] = read(member.second, depth + 1);
        }
        return object;
    }

    std::string what_;
    std::int64_t first_line_ = 0;
    std::size_t nodes_ = 0;
};

// YAML has none of them, and the library does not come to an end with some.
void refuse_control_characters(const std::string& text, const std::string& what) {
    const bool has_one = std::ranges::any_of(text, [](char byte) {
        const auto number = static_cast<unsigned char>(byte);
        return (number < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || number == 0x7F;
    });
    if (has_one) {
        throw CliError(what + " has a control character: it is no text");
    }
}

// Where lines begin with "---", or "...", which no content may (YAML 1.2, 9.1.2). The library's own
// way to read several documents does not come to an end with a comma in the wrong place.
struct Document {
    std::string text;
    std::int64_t first_line = 0;
};

std::vector<Document> documents_in(const std::string& text) {
    std::vector<Document> documents(1);
    std::int64_t number = 0;
    for (std::size_t at = 0; at < text.size(); ++number) {
        const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
        const std::string line = text.substr(at, end - at);
        const bool is_marker = line.size() == 3 || line.find_first_of(" \t\r\n") == 3;
        if (line.starts_with("...") && is_marker) {
            documents.push_back({"", number + 1});
        } else {
            if (line.starts_with("---") && is_marker) {
                documents.push_back({"", number});
            }
            documents.back().text += line;
        }
        at = end;
    }
    return documents;
}

json::array parse_yaml(const std::string& text, const std::string& what) {
    refuse_control_characters(text, what);
    json::array objects;
    Reader reader{what};
    for (const Document& document : documents_in(text)) {
        try {
            reader.begin_at(document.first_line);
            objects.push_back(reader.read(YAML::Load(document.text), 0));
        } catch (const YAML::Exception& error) {
            throw CliError(what + " is neither JSON nor YAML: line " +
                           std::to_string(document.first_line + error.mark.line + 1) + ": " +
                           error.msg);
        }
    }
    return objects;
}

}  // namespace

json::array parse_manifest(const std::string& text, const std::string& what) {
    if (text.size() > max_manifest_bytes) {
        throw CliError(what + " has " + std::to_string(text.size()) +
                       " bytes: " + std::to_string(max_manifest_bytes) + " are allowed");
    }
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    const bool is_json = begin != std::string::npos && (text[begin] == '{' || text[begin] == '[');
    const json::array documents =
        is_json ? json::array{parse_json(text, what)} : parse_yaml(text, what);
    json::array objects;
    for (const json::value& document : documents) {
        if (document.is_array()) {
            objects.insert(objects.end(), document.get_array().begin(), document.get_array().end());
        } else if (!document.is_null()) {  // of an empty document
            objects.push_back(document);
        }
    }
    return objects;
}

}  // namespace shoal::cli
