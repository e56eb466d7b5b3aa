// How a structure is described as JSON: once, as a table of its fields (descriptions.h). json.cpp
// reads and writes by it. What an absent field means is the structure's initializer.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

namespace shoal::model {

enum class Presence { required, optional };

// What a text, or each text of a list, may hold. No form allows a NUL byte.
enum class Form {
    any,
    name,        // as microvm.h says; an optional one may be empty
    assignment,  // KEY=VALUE, where KEY is not empty
};

// Inclusive. Of an integer's value, of a text's bytes, of how many a list or a map has.
struct Limits {
    std::int64_t lowest = 0;
    std::int64_t highest = std::numeric_limits<std::int64_t>::max();
};

template <typename Body, typename Member>
struct Field {
    std::string_view name;
    Member Body::*member;
    Presence presence;
    Limits limits;
    Form form;
};

template <typename Body, typename Member>
constexpr auto required(std::string_view name, Member Body::*member, Limits limits = {},
                        Form form = Form::any) {
    return Field<Body, Member>{name, member, Presence::required, limits, form};
}

template <typename Body, typename Member>
constexpr auto optional(std::string_view name, Member Body::*member, Limits limits = {},
                        Form form = Form::any) {
    return Field<Body, Member>{name, member, Presence::optional, limits, form};
}

// Specialized for each structure: `name`, for messages, and `fields`, a tuple.
template <typename Body>
struct Description;

template <typename Body>
concept Described = requires {
    Description<Body>::fields;
};

// Specialized for each enum: `values`, an array of names and enumerators.
template <typename Enum>
struct Names;

template <typename Enum>
concept Named = requires {
    Names<Enum>::values;
};

}  // namespace shoal::model
