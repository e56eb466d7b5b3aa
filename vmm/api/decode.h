// decode(): a JSON text into a body, by the body's description. Errors are serde_json's.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "vmm/api/fields.h"
#include "vmm/api/json_document.h"

namespace shoal::api {

// Decodes one text. Every function throws JsonError.
class Decoder {
public:
    explicit Decoder(std::string_view text) : text_{text} {}

    [[noreturn]] void fail(const std::string& what, std::size_t offset) const {
        throw JsonError{what, text_, offset};
    }

    void read(const JsonNode& node, bool& into) const;
    void read(const JsonNode& node, std::string& into) const;
    void read(const JsonNode& node, std::map<std::string, std::string>& into) const;
    template <UnsignedNumber Integer>
    void read(const JsonNode& node, Integer& into, Limits limits = {}) const;
    template <Named Enum>
    void read(const JsonNode& node, Enum& into) const;
    template <HasTextForm Value>
    void read(const JsonNode& node, Value& into) const;
    template <typename Value>
    void read(const JsonNode& node, std::vector<Value>& into) const;
    template <Described Body>
    void read(const JsonNode& node, Body& into) const;
    template <typename Value>
    void read(const JsonNode& node, std::optional<Value>& into, Limits limits = {}) const;

    [[noreturn]] void fail_type(const JsonNode& node, std::string_view expected) const;

private:
    std::uint64_t read_integer(const JsonNode& node, std::string_view type, Limits limits) const;
    [[nodiscard]] const std::string& string_in(const JsonNode& node) const;

    template <typename Body, typename Member>
    void read_field(const Field<Body, Member>& field, const JsonNode& node, Body& into) const;
    template <typename Body>
    bool read_member(const JsonMember& member, Body& into, std::vector<bool>& seen) const;

    std::string_view text_;
};

// "`a` or `b`", "one of `a`, `b`, `c`": serde's list of what was expected.
std::string expected_names(const std::vector<std::string_view>& names);

// The name of an integer type in serde's messages.
template <UnsignedNumber Integer>
constexpr std::string_view integer_name() {
    constexpr std::array<std::string_view, 9> names{"", "u8", "u16", "", "u32", "", "", "", "u64"};
    return names[sizeof(Integer)];
}

template <UnsignedNumber Integer>
void Decoder::read(const JsonNode& node, Integer& into, Limits limits) const {
    constexpr std::uint64_t most = std::numeric_limits<Integer>::max();
    limits.highest = std::min(limits.highest, most);
    into = static_cast<Integer>(read_integer(node, integer_name<Integer>(), limits));
}

template <Named Enum>
void Decoder::read(const JsonNode& node, Enum& into) const {
    const auto same = [](char left, char right) {
        const auto lower = [](char byte) {
            return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + 32) : byte;
        };
        return letter_case_of<Enum>() == LetterCase::matters ? left == right
                                                             : lower(left) == lower(right);
    };
    const std::string& text = string_in(node);
    std::vector<std::string_view> names;
    for (const auto& [name, value] : Names<Enum>::values) {
        if (std::ranges::equal(text, name, same)) {
            into = value;
            return;
        }
        names.push_back(name);
    }
    fail("unknown variant `" + text + "`, expected " + expected_names(names), node.end);
}

template <HasTextForm Value>
void Decoder::read(const JsonNode& node, Value& into) const {
    const auto value = TextForm<Value>::parse(string_in(node));
    if (!value) {
        fail(std::string{TextForm<Value>::refusal}, node.end);
    }
    into = *value;
}

template <typename Value>
void Decoder::read(const JsonNode& node, std::vector<Value>& into) const {
    const auto* array = std::get_if<JsonNode::Array>(&node.value);
    if (array == nullptr) {
        fail_type(node, "a sequence");
    }
    for (const JsonNode& element : *array) {
        read(element, into.emplace_back());
    }
}

template <typename Value>
void Decoder::read(const JsonNode& node, std::optional<Value>& into, Limits limits) const {
    if (std::holds_alternative<std::nullptr_t>(node.value)) {
        into.reset();
        return;
    }
    if constexpr (UnsignedNumber<Value>) {
        read(node, into.emplace(), limits);
    } else {
        read(node, into.emplace());
    }
}

template <typename Body, typename Member>
void Decoder::read_field(const Field<Body, Member>& field, const JsonNode& node, Body& into) const {
    Member& member = into.*field.member;
    if (field.when_absent == WhenAbsent::zero_means_null &&
        std::holds_alternative<std::nullptr_t>(node.value)) {
        return;
    }
    const Limits limits = field.limit_check == LimitCheck::when_parsed ? field.limits : Limits{};
    if constexpr (requires { read(node, member, limits); }) {
        read(node, member, limits);
    } else {
        read(node, member);
    }
}

// False: the body has no field of that name.
template <typename Body>
bool Decoder::read_member(const JsonMember& member, Body& into, std::vector<bool>& seen) const {
    bool found = false;
    std::size_t idx = 0;
    for_each_field<Body>([&](const auto& field) {
        if (field.name == member.key) {
            if (seen[idx]) {
                fail("duplicate field `" + member.key + "`", member.key_end);
            }
            seen[idx] = true;
            found = true;
            read_field(field, member.node, into);
        }
        ++idx;
    });
    return found;
}

template <Described Body>
void Decoder::read(const JsonNode& node, Body& into) const {
    const auto* object = std::get_if<JsonNode::Object>(&node.value);
    if (object == nullptr) {
        fail_type(node, "struct " + std::string{Description<Body>::name});
    }
    std::vector<bool> seen(std::tuple_size_v<decltype(Description<Body>::fields)>);
    for (const JsonMember& member : *object) {
        if (!read_member(member, into, seen) &&
            unknown_fields_of<Body>() == UnknownFields::refused) {
            std::vector<std::string_view> names;
            for_each_field<Body>([&](const auto& field) { names.push_back(field.name); });
            fail("unknown field `" + member.key + "`, expected " + expected_names(names),
                 member.key_end);
        }
    }
    std::size_t idx = 0;
    for_each_field<Body>([&](const auto& field) {
        if (!seen[idx++] && field.presence == Presence::required) {
            fail("missing field `" + std::string{field.name} + "`", node.end);
        }
    });
}

// The body in `text`. Throws JsonError.
template <Described Body>
[[nodiscard]] Body decode(std::string_view text) {
    Body body;
    Decoder{text}.read(parse_json(text), body);
    return body;
}

}  // namespace shoal::api
