// encode(): a body as JSON, by the body's description.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <map>
#include <string>
#include <vector>

#include "vmm/api/fields.h"

namespace shoal::api {

inline boost::json::value encode(bool value) {
    return value;
}
inline boost::json::value encode(const std::string& value) {
    return boost::json::string{value};
}
template <UnsignedNumber Integer>
boost::json::value encode(Integer value) {
    return std::uint64_t{value};
}
template <Named Enum>
boost::json::value encode(Enum value);
template <HasTextForm Value>
boost::json::value encode(const Value& value);
template <typename Value>
boost::json::value encode(const std::vector<Value>& values);
template <Described Body>
boost::json::value encode(const Body& body);

inline boost::json::value encode(const std::map<std::string, std::string>& values) {
    boost::json::object object;
    for (const auto& [key, value] : values) {
        object[key] = value;
    }
    return object;
}

template <typename Value>
boost::json::value encode(const std::optional<Value>& value) {
    return value ? encode(*value) : boost::json::value(nullptr);
}

template <Named Enum>
boost::json::value encode(Enum value) {
    for (const auto& [name, enumerator] : Names<Enum>::values) {
        if (enumerator == value) {
            return boost::json::string{name};
        }
    }
    return nullptr;
}

template <HasTextForm Value>
boost::json::value encode(const Value& value) {
    return boost::json::string{TextForm<Value>::format(value)};
}

template <typename Value>
boost::json::value encode(const std::vector<Value>& values) {
    boost::json::array array;
    for (const Value& value : values) {
        array.push_back(encode(value));
    }
    return array;
}

template <Described Body>
boost::json::value encode(const Body& body) {
    boost::json::object object;
    for_each_field<Body>([&](const auto& field) {
        const auto& member = body.*field.member;
        if constexpr (IsOptional<std::remove_cvref_t<decltype(member)>>::value) {
            if (!member && field.when_absent == WhenAbsent::left_out) {
                return;
            }
        }
        if constexpr (UnsignedNumber<std::remove_cvref_t<decltype(member)>>) {
            if (member == 0 && field.when_absent == WhenAbsent::zero_means_null) {
                object[boost::json::string_view{field.name.data(), field.name.size()}] = nullptr;
                return;
            }
        }
        object[boost::json::string_view{field.name.data(), field.name.size()}] = encode(member);
    });
    return object;
}

// Compact, as Firecracker writes it.
template <typename Body>
[[nodiscard]] std::string to_json(const Body& body) {
    return boost::json::serialize(encode(body));
}

}  // namespace shoal::api
