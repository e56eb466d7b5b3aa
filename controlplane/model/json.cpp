// Reading and writing by the tables of descriptions.h.
#include "controlplane/model/json.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <concepts>
#include <initializer_list>
#include <optional>

#include "controlplane/model/descriptions.h"

namespace shoal::model {
namespace {

namespace json = boost::json;

constexpr std::int64_t element_bytes_max = 131'071;  // Linux' MAX_ARG_STRLEN, without its NUL
constexpr Limits a_label_key{1, 63};
constexpr Limits a_label_value{0, 255};

template <typename Value>
concept Integer = std::integral<Value> && !std::same_as<Value, bool>;

// Where we are in the document, and what is allowed there.
struct Place {
    std::string path;
    Limits limits;
    Form form = Form::any;
    Presence presence = Presence::required;
    UnknownFields unknown_fields = UnknownFields::refused;

    [[noreturn]] void refuse(const std::string& why) const { throw JsonError(path + " " + why); }

    // `what` counts something: " bytes", " elements", or nothing for a value.
    void check(std::int64_t number, std::string_view what) const {
        if (number < limits.lowest || number > limits.highest) {
            refuse((what.empty() ? "is " : "has ") + std::to_string(number) + std::string{what} +
                   ": " + std::to_string(limits.lowest) + " to " + std::to_string(limits.highest) +
                   " are allowed");
        }
    }
};

template <Integer Value>
void read(const json::value& from, Value& into, const Place& place) {
    if (from.is_uint64()) {  // only beyond int64_t
        place.refuse("is too large a number");
    }
    if (!from.is_int64()) {
        place.refuse("must be a whole number");
    }
    place.check(from.get_int64(), "");
    if (!std::in_range<Value>(from.get_int64())) {
        place.refuse("is out of range");
    }
    into = static_cast<Value>(from.get_int64());
}

void read(const json::value& from, bool& into, const Place& place) {
    if (!from.is_bool()) {
        place.refuse("must be true or false");
    }
    into = from.get_bool();
}

void check_form(const std::string& text, const Place& place) {
    if (text.find('\0') != std::string::npos) {
        place.refuse("has a NUL byte");
    }
    const bool may_be_empty = place.presence == Presence::optional && text.empty();
    if (place.form == Form::name && !may_be_empty && !is_name(text)) {
        place.refuse(
            "is no name: 1 to 63 of a-z, 0-9 and '-', with a letter or digit at both ends");
    }
    const std::size_t equals = text.find('=');
    if (place.form == Form::assignment && (equals == 0 || equals == std::string::npos)) {
        place.refuse("is not KEY=VALUE");
    }
}

void read(const json::value& from, std::string& into, const Place& place) {
    if (!from.is_string()) {
        place.refuse("must be a string");
    }
    place.check(static_cast<std::int64_t>(from.get_string().size()), " bytes");
    into = std::string{from.get_string()};
    check_form(into, place);
}

void read(const json::value& from, std::vector<std::string>& into, const Place& place) {
    if (!from.is_array()) {
        place.refuse("must be an array");
    }
    place.check(static_cast<std::int64_t>(from.get_array().size()), " elements");
    for (const json::value& element : from.get_array()) {
        const std::string path = place.path + "[" + std::to_string(into.size()) + "]";
        read(element, into.emplace_back(), {path, {0, element_bytes_max}, place.form});
    }
}

void read(const json::value& from, Labels& into, const Place& place) {
    if (!from.is_object()) {
        place.refuse("must be an object");
    }
    place.check(static_cast<std::int64_t>(from.get_object().size()), " elements");
    for (const auto& member : from.get_object()) {
        const std::string key{member.key()};
        const Place of_key{"a key of " + place.path, a_label_key};
        of_key.check(static_cast<std::int64_t>(key.size()), " bytes");
        check_form(key, of_key);
        read(member.value(), into[key], {place.path + "." + key, a_label_value});
    }
}

template <Named Enum>
void read(const json::value& from, Enum& into, const Place& place) {
    std::string known;
    for (const auto& [name, value] : Names<Enum>::values) {
        if (from.is_string() && from.get_string() == json::string_view{name.data(), name.size()}) {
            into = value;
            return;
        }
        known.append(known.empty() ? "" : ", ").append(name);
    }
    place.refuse("must be one of " + known);
}

template <Described Body>
void read(const json::value& from, Body& into, const Place& place);

template <Described Body>
void read(const json::value& from, std::vector<Body>& into, const Place& place) {
    if (!from.is_array()) {
        place.refuse("must be an array");
    }
    place.check(static_cast<std::int64_t>(from.get_array().size()), " elements");
    for (const json::value& element : from.get_array()) {
        const std::string path = place.path + "[" + std::to_string(into.size()) + "]";
        read(element, into.emplace_back(),
             {path, {}, Form::any, Presence::required, place.unknown_fields});
    }
}

template <typename Value>
void read(const json::value& from, std::optional<Value>& into, const Place& place) {
    if (!from.is_null()) {
        read(from, into.emplace(), place);
    }
}

template <typename Body>
void refuse_unknown(const json::object& object, const Place& place) {
    for (const auto& member : object) {
        const std::string key{member.key()};
        const bool is_known =
            std::apply([&](const auto&... field) { return ((field.name == key) || ...); },
                       Description<Body>::fields);
        if (!is_known) {
            place.refuse(key.size() <= 64 ? "has no field \"" + key + "\""
                                          : "has a field that nobody knows");
        }
    }
}

template <Described Body>
void read(const json::value& from, Body& into, const Place& place) {
    if (!from.is_object()) {
        place.refuse("must be an object");
    }
    const json::object& object = from.get_object();
    if (place.unknown_fields == UnknownFields::refused) {
        refuse_unknown<Body>(object, place);
    }
    const auto read_field = [&](const auto& field) {
        const std::string path = place.path + "." + std::string{field.name};
        const Place inner{path, field.limits, field.form, field.presence, place.unknown_fields};
        const json::value* value = object.if_contains({field.name.data(), field.name.size()});
        if (value != nullptr) {
            read(*value, into.*field.member, inner);
        } else if (field.presence == Presence::required) {
            inner.refuse("is missing");
        }
    };
    std::apply([&](const auto&... field) { (read_field(field), ...); }, Description<Body>::fields);
}

template <Integer Value>
json::value write(Value value) {
    return value;
}

template <std::same_as<bool> Value>
json::value write(Value value) {
    return value;
}

json::value write(const std::string& value) {
    return json::string{value};
}

json::value write(const std::vector<std::string>& values) {
    return json::array(values.begin(), values.end());
}

json::value write(const Labels& labels) {
    json::object object;
    for (const auto& [key, value] : labels) {
        object[key] = value;
    }
    return object;
}

template <Named Enum>
json::value write(Enum value) {
    const auto found = std::ranges::find(Names<Enum>::values, value,
                                         [](const auto& entry) { return entry.second; });
    return json::string{found->first.data(), found->first.size()};
}

template <Described Body>
json::value write(const Body& body);

template <Described Body>
json::value write(const std::vector<Body>& bodies) {
    json::array array;
    for (const Body& body : bodies) {
        array.push_back(write(body));
    }
    return array;
}

template <typename Value>
json::value write(const std::optional<Value>& value) {
    return value ? write(*value) : json::value(nullptr);
}

template <Described Body>
json::value write(const Body& body) {
    json::object object;
    const auto write_field = [&](const auto& field) {
        object[json::string_view{field.name.data(), field.name.size()}] = write(body.*field.member);
    };
    std::apply([&](const auto&... field) { (write_field(field), ...); }, Description<Body>::fields);
    return object;
}

// What no single field can say.
template <typename Body>
void check_whole(const Body&) {}

// Exactly one of these fields is needed: names and values.
struct Source {
    std::string_view field;
    const std::string& value;
};

void check_sources(const std::string& path, std::initializer_list<Source> sources) {
    std::string all;
    std::string given;
    std::size_t count = 0;
    for (const Source& source : sources) {
        const bool is_last = &source == sources.end() - 1;
        all.append(all.empty() ? "" : is_last ? " nor " : ", ").append(source.field);
        if (!source.value.empty()) {
            given.append(count++ == 0 ? "" : " and ").append(source.field);
        }
    }
    if (count != 1) {
        throw JsonError(path + " has " + (count == 0 ? "neither " + all : "both " + given) +
                        ": one is needed");
    }
}

void check_source(const std::string& path, const MicroVmSpec& spec) {
    const std::string root_alone = spec.kernel.empty() ? spec.image : "";
    check_sources(path, {{"program", spec.program},
                         {"template", spec.from_template},
                         {"image", root_alone},
                         {"kernel", spec.kernel}});
    for (const auto& [field, value] :
         {Source{"initramfs", spec.initramfs}, Source{"cmdline", spec.cmdline}}) {
        if (spec.kernel.empty() && !value.empty()) {
            throw JsonError(path + "." + std::string{field} + " needs a kernel");
        }
    }
}

void check_whole(const MicroVmSpec& spec) {
    check_source("microvm", spec);
}

void check_whole(const TemplateSpec& spec) {
    check_sources("template", {{"program", spec.program}, {"from", spec.from}});
}

void check_whole(const Group& group) {
    check_source("group.microvm", group.microvm);
    if (!group.microvm.name.empty()) {
        throw JsonError("group.microvm.name must be empty: members are called " + group.name +
                        "-0, " + group.name + "-1 and so on");
    }
}

}  // namespace

bool is_name(std::string_view text) noexcept {
    const auto is_alphanumeric = [](char byte) {
        return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
    };
    return !text.empty() && text.size() <= static_cast<std::size_t>(a_name.highest) &&
           is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
           std::ranges::all_of(text,
                               [&](char byte) { return byte == '-' || is_alphanumeric(byte); });
}

template <typename Body>
Body from_json(std::string_view text, UnknownFields unknown_fields) {
    if (text.size() > max_json_bytes) {
        throw JsonError("the JSON has " + std::to_string(text.size()) + " bytes: up to " +
                        std::to_string(max_json_bytes) + " are allowed");
    }
    json::error_code error;
    const json::value value = json::parse({text.data(), text.size()}, error);
    if (error) {
        throw JsonError("this is not JSON: " + error.message());
    }
    Body body;
    read(value, body,
         {std::string{Description<Body>::name}, {}, Form::any, Presence::required, unknown_fields});
    check_whole(body);
    return body;
}

template <typename Body>
std::string to_json(const Body& body) {
    return json::serialize(write(body));
}

template Resources from_json(std::string_view, UnknownFields);
template Host from_json(std::string_view, UnknownFields);
template SchedulingChange from_json(std::string_view, UnknownFields);
template Heartbeat from_json(std::string_view, UnknownFields);
template Assignment from_json(std::string_view, UnknownFields);
template MicroVmSpec from_json(std::string_view, UnknownFields);
template Placement from_json(std::string_view, UnknownFields);
template Move from_json(std::string_view, UnknownFields);
template Checkpoint from_json(std::string_view, UnknownFields);
template Leader from_json(std::string_view, UnknownFields);
template Failover from_json(std::string_view, UnknownFields);
template Drain from_json(std::string_view, UnknownFields);
template MicroVmStatus from_json(std::string_view, UnknownFields);
template Deletion from_json(std::string_view, UnknownFields);
template Group from_json(std::string_view, UnknownFields);
template TemplateSpec from_json(std::string_view, UnknownFields);
template Template from_json(std::string_view, UnknownFields);
template JoinTokenSpec from_json(std::string_view, UnknownFields);
template JoinToken from_json(std::string_view, UnknownFields);
template JoinRequest from_json(std::string_view, UnknownFields);
template RenewalRequest from_json(std::string_view, UnknownFields);
template BundleCopy from_json(std::string_view, UnknownFields);
template ImageSpec from_json(std::string_view, UnknownFields);
template Image from_json(std::string_view, UnknownFields);
template OciConfig from_json(std::string_view, UnknownFields);
template Volume from_json(std::string_view, UnknownFields);
template Project from_json(std::string_view, UnknownFields);
template Address from_json(std::string_view, UnknownFields);
template Network from_json(std::string_view, UnknownFields);

template std::string to_json(const Labels&);
template std::string to_json(const Resources&);
template std::string to_json(const RenewalRequest&);
template std::string to_json(const Host&);
template std::string to_json(const SchedulingChange&);
template std::string to_json(const Heartbeat&);
template std::string to_json(const Assignment&);
template std::string to_json(const MicroVmSpec&);
template std::string to_json(const Placement&);
template std::string to_json(const Move&);
template std::string to_json(const Checkpoint&);
template std::string to_json(const Leader&);
template std::string to_json(const Failover&);
template std::string to_json(const Drain&);
template std::string to_json(const MicroVmStatus&);
template std::string to_json(const Deletion&);
template std::string to_json(const Group&);
template std::string to_json(const TemplateSpec&);
template std::string to_json(const Template&);
template std::string to_json(const JoinToken&);
template std::string to_json(const BundleCopy&);
template std::string to_json(const ImageSpec&);
template std::string to_json(const Image&);
template std::string to_json(const OciConfig&);
template std::string to_json(const Volume&);
template std::string to_json(const Project&);
template std::string to_json(const Address&);
template std::string to_json(const Network&);

}  // namespace shoal::model
