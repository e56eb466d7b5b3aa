// JSON texts: what is wrong with them, in serde_json's words and with its places.
#include "vmm/api/json_document.h"

#include <doctest/doctest.h>

namespace shoal::api {
namespace {

std::string error_of(std::string_view text) {
    try {
        static_cast<void>(parse_json(text));
    } catch (const JsonError& error) {
        return error.what();
    }
    return "none";
}

TEST_CASE("malformed JSON is described as serde_json does it") {
    const std::pair<std::string_view, std::string_view> cases[]{
        {"", "EOF while parsing a value at line 1 column 0"},
        {"  ", "EOF while parsing a value at line 1 column 2"},
        {"{", "EOF while parsing an object at line 1 column 1"},
        {"[1", "EOF while parsing a list at line 1 column 2"},
        {"{\"a\"", "EOF while parsing an object at line 1 column 4"},
        {"{\"a\":", "EOF while parsing a value at line 1 column 5"},
        {"{\"a", "EOF while parsing a string at line 1 column 3"},
        {"{\"a\": tru", "EOF while parsing a value at line 1 column 9"},
        {"x", "expected value at line 1 column 1"},
        {"{\"a\": trx}", "expected ident at line 1 column 9"},
        {"{\"a\" 1}", "expected `:` at line 1 column 6"},
        {"{\"a\": }", "expected value at line 1 column 7"},
        {"{a:1}", "key must be a string at line 1 column 2"},
        {"{\"a\":1,}", "trailing comma at line 1 column 8"},
        {"[1,]", "trailing comma at line 1 column 4"},
        {"[1 2]", "expected `,` or `]` at line 1 column 4"},
        {"{\"a\":1 2}", "expected `,` or `}` at line 1 column 8"},
        {"{\"a\":1}x", "trailing characters at line 1 column 8"},
        {"{\"a\":1} {}", "trailing characters at line 1 column 9"},
        {"{\"a\":01}", "invalid number at line 1 column 7"},
        {"{\"a\":-}", "invalid number at line 1 column 7"},
        {"{\"a\":\"\\q\"}", "invalid escape at line 1 column 8"},
        {"{\"a\":\"\xff\"}", "invalid unicode code point at line 1 column 7"},
        {"{\n\"a\": 1\n \"b\"}", "expected `,` or `}` at line 3 column 2"},
    };
    for (const auto& sample : cases) {
        CAPTURE(sample.first);
        CHECK(error_of(sample.first) == sample.second);
    }
    CHECK(error_of(std::string_view{"{\"a\":\"\0\"}", 9}) ==
          "control character (\\u0000-\\u001F) found while parsing a string at line 1 column 7");
    CHECK(error_of(std::string_view{"{\"a\":1}\0", 8}) == "trailing characters at line 1 column 8");
}

TEST_CASE("nesting is limited") {
    CHECK(error_of(std::string(max_json_depth, '[') + std::string(max_json_depth, ']')) == "none");
    CHECK(error_of(std::string(max_json_depth + 1, '[')) ==
          "recursion limit exceeded at line 1 column 129");
    CHECK(error_of(std::string(50'000, '{')).find("key must be a string") == 0);
    std::string deep;
    for (int level = 0; level < 10'000; ++level) {
        deep += "{\"a\":";
    }
    CHECK(error_of(deep).find("recursion limit exceeded") == 0);
}

TEST_CASE("every value knows where it ended, and duplicate keys are all there") {
    const JsonNode root = parse_json(R"({"a": 12 ,"b":[true,null],"a":"x\n"})");
    const auto& object = std::get<JsonNode::Object>(root.value);
    REQUIRE(object.size() == 3);
    CHECK(root.end == 36);
    CHECK(object[0].key == "a");
    CHECK(object[0].key_end == 4);
    CHECK(object[0].node.end == 8);
    CHECK(std::get<std::int64_t>(object[0].node.value) == 12);
    const auto& array = std::get<JsonNode::Array>(object[1].node.value);
    CHECK(array.at(0).end == 19);
    CHECK(std::holds_alternative<std::nullptr_t>(array.at(1).value));
    CHECK(std::get<std::string>(object[2].node.value) == "x\n");
}

TEST_CASE("numbers beyond 64 bits are no integers") {
    CHECK(std::holds_alternative<std::uint64_t>(parse_json("18446744073709551615").value));
    CHECK(std::holds_alternative<double>(parse_json("18446744073709551616").value));
    CHECK(std::holds_alternative<double>(parse_json("1.0").value));
    CHECK(std::get<std::int64_t>(parse_json("-9223372036854775808").value) == INT64_MIN);
}

}  // namespace
}  // namespace shoal::api
