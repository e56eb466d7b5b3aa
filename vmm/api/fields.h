// How a JSON body is described: once, beside the body's C++ struct.
//
//     template <>
//     struct Description<vmm::VsockConfig> {
//         static constexpr std::string_view name = "Vsock";
//         static constexpr auto fields = std::tuple{
//             required("guest_cid", &vmm::VsockConfig::guest_cid, {3, UINT32_MAX}),
//             ...
//         };
//     };
//
// decode.h reads a body by it, encode.h writes one, and describe() tells it to the test that
// compares it with openapi.yaml. What a field holds when it is absent is the struct's initializer.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

namespace shoal::api {

// uint8_t to uint64_t: what an integer in a body is.
template <typename Value>
concept UnsignedNumber = std::unsigned_integral<Value> && !std::same_as<Value, bool>;

enum class Presence { required, optional };
// How an absent std::optional is written: as null, or not at all. A field whose absence its struct
// keeps as a 0 says so: then 0 is written as null, and null is read as 0.
enum class WhenAbsent { written_as_null, left_out, zero_means_null };
enum class UnknownFields { refused, ignored };
enum class LetterCase { matters, does_not_matter };

// Inclusive, of an integer.
struct Limits {
    std::uint64_t lowest = 0;
    std::uint64_t highest = std::numeric_limits<std::uint64_t>::max();
};

// Whether parsing refuses a value beyond the limits. If not, the resource does, in its own words.
enum class LimitCheck { when_parsed, by_resource };

template <typename Body, typename Member>
struct Field {
    std::string_view name;
    Member Body::*member;
    Presence presence;
    Limits limits{};
    LimitCheck limit_check = LimitCheck::when_parsed;
    WhenAbsent when_absent = WhenAbsent::written_as_null;
};

template <typename Body, typename Member>
constexpr auto required(std::string_view name, Member Body::*member, Limits limits = {},
                        LimitCheck check = LimitCheck::when_parsed) {
    return Field<Body, Member>{name, member, Presence::required, limits, check};
}

template <typename Body, typename Member>
constexpr auto optional(std::string_view name, Member Body::*member, Limits limits = {},
                        LimitCheck check = LimitCheck::when_parsed) {
    return Field<Body, Member>{name, member, Presence::optional, limits, check};
}

// Not written while it is absent.
template <typename Body, typename Member>
constexpr auto sparse(std::string_view name, Member Body::*member) {
    return Field<Body, Member>{.name = name,
                               .member = member,
                               .presence = Presence::optional,
                               .when_absent = WhenAbsent::left_out};
}

// An integer of which 0 and null mean the same.
template <typename Body, typename Member>
constexpr auto nullable(std::string_view name, Member Body::*member) {
    return Field<Body, Member>{.name = name,
                               .member = member,
                               .presence = Presence::optional,
                               .when_absent = WhenAbsent::zero_means_null};
}

// Specialized for each body. May say `unknown_fields = UnknownFields::ignored`.
template <typename Body>
struct Description;

template <typename Body>
concept Described = requires {
    Description<Body>::fields;
};

template <typename Body>
consteval UnknownFields unknown_fields_of() {
    if constexpr (requires { Description<Body>::unknown_fields; }) {
        return Description<Body>::unknown_fields;
    }
    return UnknownFields::refused;
}

// Specialized for each enum of a body: `values`, an array of names and enumerators, of which the
// first name of an enumerator is the one that is written. May say `letter_case`.
template <typename Enum>
struct Names;

template <typename Enum>
concept Named = requires {
    Names<Enum>::values;
};

template <typename Enum>
consteval LetterCase letter_case_of() {
    if constexpr (requires { Names<Enum>::letter_case; }) {
        return Names<Enum>::letter_case;
    }
    return LetterCase::matters;
}

// Specialized for a type that is a string in JSON: `parse(text)`, an optional, `format(value)`, and
// `refusal`, what is said when parse() returned nothing.
template <typename Value>
struct TextForm;

template <typename Value>
concept HasTextForm = requires {
    TextForm<Value>::refusal;
};

template <typename Value>
struct IsOptional : std::false_type {};
template <typename Value>
struct IsOptional<std::optional<Value>> : std::true_type {};

template <typename Body, typename Function>
constexpr void for_each_field(Function&& function) {
    std::apply([&](const auto&... field) { (function(field), ...); }, Description<Body>::fields);
}

}  // namespace shoal::api
