// The parts of decoding that do not depend on the body.
#include "vmm/api/decode.h"

#include <array>
#include <charconv>
#include <cmath>

namespace shoal::api {
namespace {

// As Rust prints an f64.
std::string float_text(double value) {
    std::array<char, 400> text;
    const auto [end, error] =
        std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    std::string result{text.data(), error == std::errc{} ? end : text.data()};
    if (result.find('.') == std::string::npos && std::isfinite(value)) {
        result += ".0";
    }
    return result;
}

// What was found, in serde's words.
struct Unexpected {
    std::string operator()(std::nullptr_t) const { return "null"; }
    std::string operator()(bool value) const {
        return value ? "boolean `true`" : "boolean `false`";
    }
    std::string operator()(std::int64_t value) const {
        return "integer `" + std::to_string(value) + "`";
    }
    std::string operator()(std::uint64_t value) const {
        return "integer `" + std::to_string(value) + "`";
    }
    std::string operator()(double value) const {
        return "floating point `" + float_text(value) + "`";
    }
    std::string operator()(const std::string& value) const { return "string \"" + value + "\""; }
    std::string operator()(const JsonNode::Array&) const { return "sequence"; }
    std::string operator()(const JsonNode::Object&) const { return "map"; }
};

}  // namespace

std::string expected_names(const std::vector<std::string_view>& names) {
    std::string list = names.size() > 2 ? "one of " : "";
    for (std::size_t idx = 0; idx < names.size(); ++idx) {
        if (idx > 0) {
            list += names.size() == 2 ? " or " : ", ";
        }
        list += "`" + std::string{names[idx]} + "`";
    }
    return list;
}

void Decoder::fail_type(const JsonNode& node, std::string_view expected) const {
    fail("invalid type: " + std::visit(Unexpected{}, node.value) + ", expected " +
             std::string{expected},
         node.end);
}

void Decoder::read(const JsonNode& node, bool& into) const {
    const bool* value = std::get_if<bool>(&node.value);
    if (value == nullptr) {
        fail_type(node, "a boolean");
    }
    into = *value;
}

const std::string& Decoder::string_in(const JsonNode& node) const {
    const auto* value = std::get_if<std::string>(&node.value);
    if (value == nullptr) {
        fail_type(node, "a string");
    }
    return *value;
}

void Decoder::read(const JsonNode& node, std::string& into) const {
    into = string_in(node);
}

void Decoder::read(const JsonNode& node, std::map<std::string, std::string>& into) const {
    const auto* object = std::get_if<JsonNode::Object>(&node.value);
    if (object == nullptr) {
        fail_type(node, "a map");
    }
    for (const JsonMember& member : *object) {
        read(member.node, into[member.key]);
    }
}

std::uint64_t Decoder::read_integer(const JsonNode& node, std::string_view type,
                                    Limits limits) const {
    const auto* is_signed = std::get_if<std::int64_t>(&node.value);
    const auto* is_unsigned = std::get_if<std::uint64_t>(&node.value);
    if (is_signed == nullptr && is_unsigned == nullptr) {
        fail_type(node, type);
    }
    const bool is_negative = is_signed != nullptr && *is_signed < 0;
    const std::uint64_t value =
        is_signed != nullptr ? static_cast<std::uint64_t>(*is_signed) : *is_unsigned;
    if (is_negative || value < limits.lowest || value > limits.highest) {
        std::string expected{type};
        if (!is_negative && value < limits.lowest) {
            expected += " of at least " + std::to_string(limits.lowest);
        }
        fail("invalid value: " + std::visit(Unexpected{}, node.value) + ", expected " + expected,
             node.end);
    }
    return value;
}

}  // namespace shoal::api
