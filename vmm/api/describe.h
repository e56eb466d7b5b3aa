// describe(): a body's description as OpenAPI would say it, to be compared with openapi.yaml.
#pragma once

#include <boost/json/serialize.hpp>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "vmm/api/encode.h"

namespace shoal::api {

struct FieldDescription {
    std::string name;
    std::string type;    // of JSON schema; of an array's elements: see `schema`
    std::string schema;  // name of the body that the field, or each element of it, is
    bool is_required = false;
    std::vector<std::string> names;           // of an enum
    std::optional<std::uint64_t> minimum;     // of an integer, if the description limits it
    std::optional<std::uint64_t> maximum;     // of an integer: the type's, or a lower one
    std::optional<std::string> default_json;  // what an absent field means, unless that is null
};

template <typename Value>
struct ValueOf {
    using Type = Value;
};
template <typename Value>
struct ValueOf<std::optional<Value>> {
    using Type = Value;
};

template <typename Value>
struct ElementOf : std::false_type {};
template <typename Value>
struct ElementOf<std::vector<Value>> : std::true_type {
    using Type = Value;
};

template <typename Value>
void describe_type(FieldDescription& field) {
    if constexpr (std::same_as<Value, bool>) {
        field.type = "boolean";
    } else if constexpr (UnsignedNumber<Value>) {
        field.type = "integer";
    } else if constexpr (std::same_as<Value, std::string> || HasTextForm<Value>) {
        field.type = "string";
    } else if constexpr (Named<Value>) {
        field.type = "string";
        for (const auto& [name, value] : Names<Value>::values) {
            field.names.emplace_back(name);
        }
    } else if constexpr (Described<Value>) {
        field.schema = Description<Value>::name;
    } else if constexpr (ElementOf<Value>::value) {
        field.type = "array";
        if constexpr (Described<typename ElementOf<Value>::Type>) {
            field.schema = Description<typename ElementOf<Value>::Type>::name;
        }
    } else {
        field.type = "object";
    }
}

template <typename Body, typename Member>
FieldDescription describe(const Field<Body, Member>& field) {
    using Value = typename ValueOf<Member>::Type;
    FieldDescription result;
    result.name = field.name;
    result.is_required = field.presence == Presence::required;
    describe_type<Value>(result);
    if constexpr (UnsignedNumber<Value>) {
        constexpr std::uint64_t most = std::numeric_limits<Value>::max();
        if (field.limits.lowest > 0) {
            result.minimum = field.limits.lowest;
        }
        if (std::min(field.limits.highest, most) < std::numeric_limits<std::uint64_t>::max()) {
            result.maximum = std::min(field.limits.highest, most);
        }
    }
    const boost::json::value standard = encode(Body{}.*field.member);
    if (!result.is_required && !standard.is_null() && result.type != "object" &&
        result.type != "array" && field.when_absent != WhenAbsent::zero_means_null) {
        result.default_json = boost::json::serialize(standard);
    }
    return result;
}

template <Described Body>
std::vector<FieldDescription> describe() {
    std::vector<FieldDescription> fields;
    for_each_field<Body>([&](const auto& field) { fields.push_back(describe(field)); });
    return fields;
}

}  // namespace shoal::api
