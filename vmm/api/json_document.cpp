// Boost.JSON's event parser, fed byte by byte so that every event has its place.
#include "vmm/api/json_document.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <cstdint>
#include <utility>

namespace shoal::api {
namespace {

namespace json = boost::json;
using json::error_code;
using json::string_view;

std::string with_place(const std::string& what, std::string_view text, std::size_t offset) {
    const std::string_view consumed = text.substr(0, offset);
    const auto lines = std::ranges::count(consumed, '\n');
    const std::size_t line_start = lines == 0 ? 0 : consumed.rfind('\n') + 1;
    return what + " at line " + std::to_string(lines + 1) + " column " +
           std::to_string(offset - line_start);
}

// The parser's events, made into a tree. `at` is the offset of the byte that is being fed.
class TreeBuilder {
public:
    static constexpr std::size_t max_object_size = SIZE_MAX;
    static constexpr std::size_t max_array_size = SIZE_MAX;
    static constexpr std::size_t max_key_size = SIZE_MAX;
    static constexpr std::size_t max_string_size = SIZE_MAX;

    bool on_document_begin(error_code&) { return true; }
    bool on_document_end(error_code&) { return true; }
    bool on_object_begin(error_code&) { return open(JsonNode::Object{}); }
    bool on_object_end(std::size_t, error_code&) { return close(); }
    bool on_array_begin(error_code&) { return open(JsonNode::Array{}); }
    bool on_array_end(std::size_t, error_code&) { return close(); }
    bool on_key_part(string_view part, std::size_t, error_code&) { return collect(part); }
    bool on_key(string_view part, std::size_t, error_code&) {
        collect(part);
        auto& object = std::get<JsonNode::Object>(open_.back()->value);
        object.push_back({std::exchange(text_, {}), at + 1, {}});
        is_behind_key_ = true;
        return true;
    }
    bool on_string_part(string_view part, std::size_t, error_code&) { return collect(part); }
    bool on_string(string_view part, std::size_t, error_code&) {
        collect(part);
        return add(std::exchange(text_, {}), at + 1);
    }
    // A number ends where the byte behind it is seen.
    bool on_number_part(string_view, error_code&) { return true; }
    bool on_int64(std::int64_t value, string_view, error_code&) { return add(value, at); }
    bool on_uint64(std::uint64_t value, string_view, error_code&) { return add(value, at); }
    bool on_double(double value, string_view, error_code&) { return add(value, at); }
    bool on_bool(bool value, error_code&) { return add(value, at + 1); }
    bool on_null(error_code&) { return add(nullptr, at + 1); }
    bool on_comment_part(string_view, error_code&) { return true; }
    bool on_comment(string_view, error_code&) { return true; }

    [[nodiscard]] bool is_inside() const noexcept { return !open_.empty(); }
    [[nodiscard]] bool is_in_object() const noexcept {
        return is_inside() && std::holds_alternative<JsonNode::Object>(open_.back()->value);
    }
    // Between a key and its value.
    [[nodiscard]] bool is_behind_key() const noexcept { return is_behind_key_; }
    [[nodiscard]] bool is_complete() const noexcept { return is_complete_; }
    [[nodiscard]] JsonNode take() { return std::move(root_); }

    std::size_t at = 0;

private:
    bool collect(string_view part) {
        text_.append(part.data(), part.size());
        return true;
    }

    template <typename Value>
    JsonNode& place(Value&& value, std::size_t end) {
        JsonNode* node = &root_;
        if (is_in_object()) {
            node = &std::get<JsonNode::Object>(open_.back()->value).back().node;
        } else if (is_inside()) {
            node = &std::get<JsonNode::Array>(open_.back()->value).emplace_back();
        }
        node->value = std::forward<Value>(value);
        node->end = end;
        is_behind_key_ = false;
        return *node;
    }

    template <typename Value>
    bool add(Value&& value, std::size_t end) {
        place(std::forward<Value>(value), end);
        is_complete_ = open_.empty();
        return true;
    }

    template <typename Value>
    bool open(Value&& value) {
        // The pointers stay valid: a container grows only while no element of it is open.
        open_.push_back(&place(std::forward<Value>(value), at + 1));
        return true;
    }

    bool close() {
        open_.back()->end = at + 1;
        open_.pop_back();
        is_complete_ = open_.empty();
        return true;
    }

    JsonNode root_;
    std::vector<JsonNode*> open_;
    std::string text_;
    bool is_behind_key_ = false;
    bool is_complete_ = false;
};

bool is_space(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

// What is left to know of the text before the byte at hand, to say what is wrong with that byte.
class Lexer {
public:
    void pass(char byte) noexcept {
        if (is_in_string_ && byte == '"' && !is_escaped_) {
            is_in_string_ = false;
        } else if (is_in_string_) {
            is_escaped_ = byte == '\\' && !is_escaped_;
        } else {
            is_in_string_ = byte == '"';
        }
        touches_ = is_in_string_ || !is_space(byte);
        last_ = touches_ ? byte : last_;
    }
    [[nodiscard]] bool is_in_string() const noexcept { return is_in_string_; }
    [[nodiscard]] bool is_escaped() const noexcept { return is_escaped_; }
    // The last byte that was no space, and whether the byte at hand follows it at once.
    [[nodiscard]] char last() const noexcept { return last_; }
    [[nodiscard]] bool touches() const noexcept { return touches_; }

private:
    bool is_in_string_ = false;
    bool is_escaped_ = false;
    bool touches_ = false;
    char last_ = '\0';
};

std::string describe_in_string(const Lexer& lexer, char byte) {
    if (lexer.is_escaped()) {
        return "invalid escape";
    }
    return static_cast<unsigned char>(byte) < 0x20
               ? "control character (\\u0000-\\u001F) found while parsing a string"
               : "invalid unicode code point";
}

// Outside of strings: what the grammar would have allowed instead of `byte`.
std::string describe_token(const TreeBuilder& tree, const Lexer& lexer, char byte) {
    const char last = lexer.last();
    if (lexer.touches() && (last == '-' || last == '.' || (is_digit(last) && is_digit(byte)))) {
        return "invalid number";
    }
    if (lexer.touches() && last >= 'a' && last <= 'z' && !tree.is_complete()) {
        return "expected ident";
    }
    if (last == ',' && (byte == '}' || byte == ']')) {
        return "trailing comma";
    }
    if (last == '{' || (last == ',' && tree.is_in_object())) {
        return "key must be a string";
    }
    if (last == '\0' || last == ':' || last == '[' || last == ',') {
        return "expected value";
    }
    if (tree.is_behind_key()) {
        return "expected `:`";
    }
    return tree.is_in_object() ? "expected `,` or `}`" : "expected `,` or `]`";
}

// serde_json's words for the byte that the parser refused.
std::string describe(error_code error, const TreeBuilder& tree, const Lexer& lexer, char byte) {
    if (error == json::error::too_deep) {
        return "recursion limit exceeded";
    }
    if (error == json::error::extra_data || tree.is_complete()) {
        return "trailing characters";
    }
    if (error == json::error::illegal_leading_surrogate ||
        error == json::error::illegal_trailing_surrogate) {
        return "lone leading surrogate in hex escape";
    }
    if (error == json::error::expected_hex_digit) {
        return "invalid escape";
    }
    if (error == json::error::exponent_overflow) {
        return "number out of range";
    }
    return lexer.is_in_string() ? describe_in_string(lexer, byte)
                                : describe_token(tree, lexer, byte);
}

std::string describe_end(const TreeBuilder& tree, const Lexer& lexer) {
    if (lexer.is_in_string()) {
        return "EOF while parsing a string";
    }
    const bool misses_colon = tree.is_behind_key() && lexer.last() == '"';
    if (!tree.is_inside() || (tree.is_behind_key() && !misses_colon)) {
        return "EOF while parsing a value";
    }
    return tree.is_in_object() ? "EOF while parsing an object" : "EOF while parsing a list";
}

}  // namespace

JsonError::JsonError(const std::string& what, std::string_view text, std::size_t offset)
    : std::runtime_error{with_place(what, text, std::min(offset, text.size()))} {}

JsonNode parse_json(std::string_view text) {
    json::parse_options options;
    options.max_depth = max_json_depth;
    json::basic_parser<TreeBuilder> parser{options};
    TreeBuilder& tree = parser.handler();
    Lexer lexer;
    error_code error;
    for (const char& byte : text) {
        tree.at = static_cast<std::size_t>(&byte - text.data());
        if (parser.write_some(true, &byte, 1, error) == 0 && !error) {
            error = json::error::extra_data;
        }
        if (error) {
            throw JsonError{describe(error, tree, lexer, byte), text, tree.at + 1};
        }
        lexer.pass(byte);
    }
    tree.at = text.size();
    parser.write_some(false, text.data(), 0, error);
    if (error) {
        throw JsonError{describe_end(tree, lexer), text, text.size()};
    }
    return tree.take();
}

}  // namespace shoal::api
