// Fuzzes the bodies of the API: the input's first byte chooses an endpoint and the microVM's state,
// the rest is the body.
//
// Whatever comes is answered, and a fault is a JSON object with the one field that it has.
#include <cstddef>
#include <cstdint>
#include <string>

#include "devices/host/check.h"
#include "tests/unit/vmm/api/fake_microvm.h"
#include "vmm/api/api.h"
#include "vmm/api/endpoints.h"
#include "vmm/api/json_document.h"
#include "vmm/api/vm_config.h"
#include "vmm/migration/migration.h"

namespace {

using namespace shoal;

// What must not touch the host: the log and the metrics open the paths that they are given.
bool opens_files(std::string_view path) {
    return path == "logger" || path == "metrics";
}

// Nor must a migration's connections: their bodies are only parsed.
bool connects(std::string_view path) {
    return path == "migration/send" || path == "migration/receive";
}

void parse(const api::Endpoint& endpoint, const std::string& body) {
    try {
        static_cast<void>(endpoint.parse({{}, body}));
    } catch (const api::Fault&) {
    }
}

void check(const api::Response& response) {
    if (response.status == api::Status::ok) {
        SHOAL_CHECK(
            std::holds_alternative<api::JsonNode::Object>(api::parse_json(response.body).value));
    } else if (response.status != api::Status::no_content) {
        const api::JsonNode body = api::parse_json(response.body);
        const auto& fault = std::get<api::JsonNode::Object>(body.value);
        SHOAL_CHECK(fault.size() == 1 && fault[0].key == "fault_message");
    }
}

void check_round_trip(api::Context& context, const std::string& text) {
    try {
        api::apply_config_file(context, text);
    } catch (const std::exception&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size_bytes) {
    if (size_bytes < 2) {
        return 0;
    }
    const auto endpoints = api::endpoints();
    const api::Endpoint& endpoint = endpoints[(data[0] & 0x7F) % endpoints.size()];
    // SAFETY: bytes are read as the characters that a socket would bring.
    const std::string body{reinterpret_cast<const char*>(data) + 1, size_bytes - 1};
    api::testing::FakeMicrovm microvm;
    microvm.now =
        (data[0] & 0x80) != 0 ? vmm::MicrovmState::running : vmm::MicrovmState::not_started;
    api::MetricsFile metrics{[](api::MetricsDocument&) {}, "fuzz"};
    boost::asio::io_context loop{1};
    migration::Migration migration{microvm, loop};
    api::Context context{microvm, metrics, migration, "fuzz"};
    context.config.drives.push_back({.drive_id = "a", .path_on_host = "p"});
    context.config.network_interfaces.push_back({.iface_id = "a", .host_dev_name = "t"});
    context.config.balloon = vmm::BalloonConfig{.free_page_hinting = true};
    api::Api api{context};
    if (connects(endpoint.path)) {
        parse(endpoint, body);
    } else if (!opens_files(endpoint.path)) {
        check(api.handle({endpoint.method, "/" + std::string{endpoint.path} + "/a", body}));
    } else if (body.find("\"log") == std::string::npos &&
               body.find("\"metrics") == std::string::npos) {
        check_round_trip(context, body);
    }
    check(api.handle({api::Method::get, "/vm/config", {}}));
    return 0;
}
