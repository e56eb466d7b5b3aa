// A JSON text as a tree in which every key and value knows where it ended in the text.
//
// Boost.JSON parses; what it does not offer, and Firecracker's clients see in error messages, is
// the place of an error as serde_json counts it: line, and bytes consumed in that line.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace shoal::api {

// What is wrong with a JSON text, in serde_json's words: "missing field `x` at line 1 column 2".
class JsonError : public std::runtime_error {
public:
    // `offset`: how many bytes of `text` had been consumed.
    JsonError(const std::string& what, std::string_view text, std::size_t offset);
};

struct JsonMember;

struct JsonNode {
    using Array = std::vector<JsonNode>;
    using Object = std::vector<JsonMember>;  // in the order of the text, duplicates and all

    // null at first. (No initializer: clang would want JsonMember to be complete for it.)
    std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, Array,
                 Object>
        value;
    std::size_t end = 0;  // offset behind the value
};

struct JsonMember {
    std::string key;
    std::size_t key_end = 0;  // offset behind the key's quote
    JsonNode node;
};

// Arrays and objects nested deeper are refused, as serde_json does.
inline constexpr std::size_t max_json_depth = 128;

// The whole text is one JSON value. Throws JsonError.
[[nodiscard]] JsonNode parse_json(std::string_view text);

}  // namespace shoal::api
