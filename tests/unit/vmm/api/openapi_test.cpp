// The code's bodies and endpoints against vmm/api/openapi.yaml, in both directions.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/vmm/api/api_rig.h"
#include "vmm/api/actions.h"
#include "vmm/api/balloon.h"
#include "vmm/api/boot_source.h"
#include "vmm/api/describe.h"
#include "vmm/api/drive.h"
#include "vmm/api/endpoints.h"
#include "vmm/api/entropy.h"
#include "vmm/api/instance_info.h"
#include "vmm/api/logger.h"
#include "vmm/api/machine_config.h"
#include "vmm/api/metrics.h"
#include "vmm/api/migration.h"
#include "vmm/api/network_interface.h"
#include "vmm/api/serial.h"
#include "vmm/api/snapshot.h"
#include "vmm/api/vm.h"
#include "vmm/api/vsock.h"

namespace shoal::api {
namespace {

namespace json = boost::json;

// Python reads the YAML: the C++ side has no other use for it.
json::object read_document() {
    const char* const command =
        "python3 -c 'import json, yaml; "
        "print(json.dumps(yaml.safe_load(open(\"vmm/api/openapi.yaml\"))))'";
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe{::popen(command, "r"), ::pclose};
    REQUIRE(pipe);
    std::string text;
    std::array<char, 4096> piece;
    for (std::size_t count; (count = std::fread(piece.data(), 1, piece.size(), pipe.get())) > 0;) {
        text.append(piece.data(), count);
    }
    REQUIRE_FALSE(text.empty());
    return json::parse(text).as_object();
}

const json::object& document() {
    static const json::object instance = read_document();
    return instance;
}

const json::object& schemas() {
    return document().at("components").at("schemas").as_object();
}

std::string text_of(const json::object& object, json::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr ? std::string{value->as_string().c_str()} : std::string{};
}

std::set<std::string> strings_of(const json::value& array) {
    std::set<std::string> result;
    for (const json::value& value : array.as_array()) {
        result.insert(value.as_string().c_str());
    }
    return result;
}

std::optional<std::uint64_t> number_of(const json::object& object, json::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr ? std::optional{value->to_number<std::uint64_t>()} : std::nullopt;
}

void check_field(const FieldDescription& field, const json::object& property) {
    CAPTURE(field.name);
    const json::value* items = property.if_contains("items");
    const std::string schema = text_of(items != nullptr ? items->as_object() : property, "$ref");
    CHECK(schema == (field.schema.empty() ? "" : "#/components/schemas/" + field.schema));
    CHECK(text_of(property, "type") == field.type);
    CHECK(number_of(property, "minimum") == field.minimum);
    CHECK(number_of(property, "maximum") == field.maximum);
    const json::value* names = property.if_contains("enum");
    CHECK((names != nullptr ? strings_of(*names) : std::set<std::string>{}) ==
          std::set<std::string>{field.names.begin(), field.names.end()});
    const json::value* standard = property.if_contains("default");
    CHECK((standard != nullptr ? std::optional{json::serialize(*standard)} : std::nullopt) ==
          field.default_json);
}

template <typename Body>
void check_body(std::set<std::string>& checked) {
    const std::string name{Description<Body>::name};
    CAPTURE(name);
    REQUIRE(schemas().contains(name));
    checked.insert(name);
    const json::object& schema = schemas().at(name).as_object();
    const json::object& properties = schema.at("properties").as_object();
    const bool takes_more = !schema.contains("additionalProperties");
    CHECK(takes_more == (unknown_fields_of<Body>() == UnknownFields::ignored));

    std::set<std::string> names;
    std::set<std::string> required_names;
    for (const FieldDescription& field : describe<Body>()) {
        names.insert(field.name);
        if (field.is_required) {
            required_names.insert(field.name);
        }
        REQUIRE(properties.contains(field.name));
        check_field(field, properties.at(field.name).as_object());
    }
    CHECK(properties.size() == names.size());
    const json::value* listed = schema.if_contains("required");
    CHECK((listed != nullptr ? strings_of(*listed) : std::set<std::string>{}) == required_names);
}

template <typename... Bodies>
std::set<std::string> check_bodies() {
    std::set<std::string> checked;
    (check_body<Bodies>(checked), ...);
    return checked;
}

TEST_CASE("every body has the fields, types, defaults and limits that openapi.yaml says") {
    std::set<std::string> checked =
        check_bodies<backend::TokenBucketConfig, backend::RateLimiterConfig, InstanceInfo, Version,
                     vmm::MachineShape, MachineUpdate, vmm::BootSourceConfig, vmm::DriveConfig,
                     vmm::DriveUpdate, vmm::NetworkInterfaceConfig, vmm::NetworkInterfaceUpdate,
                     vmm::VsockConfig, vmm::EntropyConfig, vmm::SerialConfig, vmm::BalloonConfig,
                     BalloonUpdate, BalloonStatsUpdate, vmm::BalloonStatistics, vmm::HintingStart,
                     vmm::HintingStatus, LoggerConfig, MetricsConfig, InstanceAction, Vm,
                     SnapshotCreateParams, SavedDrive, SnapshotLoadParams, MemoryBackend,
                     NetworkOverride, DriveOverride, VsockOverride, MigrationTls, MigrationSend,
                     MigrationReceive, MigrationCancel, MigrationResolve, MigrationStatus,
                     vmm::CloneWords, SnapshotProgress, WorkingSetRecording>();
    // Not a struct of ours: written by hand, or still to come.
    checked.insert({"Error", "Anything", "FullVmConfiguration"});
    for (const auto& schema : schemas()) {
        CAPTURE(std::string{schema.key()});
        CHECK(checked.contains(schema.key()));
    }
}

std::string name_of_allowed(Allowed allowed) {
    switch (allowed) {
        case Allowed::always:
            return "always";
        case Allowed::before_start:
            return "before_start";
        case Allowed::after_start:
            return "after_start";
        case Allowed::decided_later:
            return "decided_later";
    }
    return {};
}

// "/drives/{drive_id}" is the endpoint "drives".
std::string endpoint_path(std::string path) {
    path.erase(0, 1);
    return path.substr(0, path.find("/{"));
}

using Operation = std::array<std::string, 3>;  // method, path, states

std::set<Operation> documented_operations() {
    std::set<Operation> result;
    for (const auto& path : document().at("paths").as_object()) {
        for (const auto& operation : path.value().as_object()) {
            if (operation.key() == "parameters") {
                continue;
            }
            std::string method{operation.key()};
            std::ranges::transform(method, method.begin(),
                                   [](char byte) { return static_cast<char>(byte - 32); });
            result.insert({method, endpoint_path(path.key()),
                           text_of(operation.value().as_object(), "x-allowed")});
        }
    }
    return result;
}

TEST_CASE("openapi.yaml has every endpoint, with its states, and no other") {
    std::set<Operation> coded;
    for (const Endpoint& endpoint : endpoints()) {
        if (endpoint.path != "snapshot") {  // only says that there is no such path
            coded.insert({std::string{name_of(endpoint.method)}, std::string{endpoint.path},
                          name_of_allowed(endpoint.allowed)});
        }
    }
    const std::set<Operation> documented = documented_operations();
    for (const Operation& operation : coded) {
        CAPTURE(operation[0] + " " + operation[1] + " " + operation[2]);
        CHECK(documented.contains(operation));
    }
    CHECK(documented.size() == coded.size());
}

// The name of the schema that `content` of a request or a response refers to; "" for none.
std::string schema_of(const json::object& holder) {
    if (!holder.contains("content")) {
        return {};
    }
    const std::string reference =
        text_of(holder.at("content").at("application/json").at("schema").as_object(), "$ref");
    const std::string start = "#/components/schemas/";
    REQUIRE(reference.starts_with(start));
    const std::string name = reference.substr(start.size());
    CHECK(schemas().contains(name));
    return name;
}

const json::object* operation_of(const Endpoint& endpoint) {
    std::string method{name_of(endpoint.method)};
    std::ranges::transform(method, method.begin(),
                           [](char byte) { return static_cast<char>(byte + 32); });
    for (const auto& path : document().at("paths").as_object()) {
        if (endpoint_path(path.key()) == endpoint.path) {
            const json::value* const found = path.value().as_object().if_contains(method);
            return found != nullptr ? &found->as_object() : nullptr;
        }
    }
    return nullptr;
}

// What the endpoint says that it wanted instead of a number. "Anything": it does not look.
std::string body_of(const Endpoint& endpoint) {
    static constexpr std::string_view with_id[]{"drives", "network-interfaces", "pmem"};
    const bool has_id = std::ranges::find(with_id, endpoint.path) != std::end(with_id);
    try {
        static_cast<void>(endpoint.parse(
            {has_id ? std::vector<std::string_view>{"a"} : std::vector<std::string_view>{}, "0"}));
    } catch (const Fault& fault) {
        const std::string text = fault.what();
        const std::string start = "expected struct ";
        if (const std::size_t at = text.find(start); at != std::string::npos) {
            const std::size_t from = at + start.size();
            return text.substr(from, text.find(' ', from) - from);
        }
    }
    return "Anything";
}

TEST_CASE("each request of openapi.yaml has the body that its endpoint takes") {
    std::size_t count = 0;
    for (const Endpoint& endpoint : endpoints()) {
        const json::object* const operation = operation_of(endpoint);
        if (operation == nullptr || !operation->contains("requestBody")) {
            continue;
        }
        CAPTURE(std::string{endpoint.path});
        CAPTURE(std::string{name_of(endpoint.method)});
        CHECK(schema_of(operation->at("requestBody").as_object()) == body_of(endpoint));
        ++count;
    }
    CHECK(count > 25);
}

TEST_CASE("each answer with a body is the one that openapi.yaml says") {
    testing::ApiRig api;
    REQUIRE(api.put("/balloon", R"({"amount_mib":0,"deflate_on_oom":false,)"
                                R"("stats_polling_interval_s":1,"free_page_hinting":true})")
                .status == Status::no_content);
    api.start();
    std::size_t count = 0;
    for (const Endpoint& endpoint : endpoints()) {
        const json::object* const operation = operation_of(endpoint);
        if (operation == nullptr || !operation->at("responses").as_object().contains("200")) {
            continue;
        }
        const json::object& answer = operation->at("responses").at("200").as_object();
        if (endpoint.path == "metrics") {
            continue;  // Prometheus' text
        }
        CAPTURE(std::string{endpoint.path});
        const Response response = api.get("/" + std::string{endpoint.path});
        CAPTURE(response.body);
        if (response.status != Status::ok) {
            CHECK(endpoint.path == "snapshot/create");  // there was none
            continue;
        }
        const json::object& schema = schemas().at(schema_of(answer)).as_object();
        const json::object body = json::parse(response.body).as_object();
        for (const auto& member : body) {
            CAPTURE(std::string{member.key()});
            CHECK(schema.at("properties").as_object().contains(member.key()));
        }
        if (const json::value* const required = schema.if_contains("required")) {
            for (const std::string& name : strings_of(*required)) {
                CAPTURE(name);
                CHECK(body.contains(name));
            }
        }
        ++count;
    }
    CHECK(count >= 8);
}

}  // namespace
}  // namespace shoal::api
