// Endpoints by state, and everything that is said of a request before a resource sees it.
#include "vmm/api/endpoints.h"

#include <doctest/doctest.h>

#include <map>

#include "tests/unit/vmm/api/api_rig.h"

namespace shoal::api {
namespace {

using namespace testing;

const std::string only_after =
    "The requested operation is not supported before starting the microVM.";
const std::string only_before =
    "The requested operation is not supported after starting the microVM.";

struct Case {
    Method method;
    const char* path;
    const char* body;  // nullptr: none
    bool before;       // allowed
    bool after;
};

// Every endpoint with a valid request.
const Case cases[]{
    {Method::get, "/", nullptr, true, true},
    {Method::get, "/version", nullptr, true, true},
    {Method::get, "/vm/config", nullptr, true, true},
    {Method::get, "/machine-config", nullptr, true, true},
    {Method::get, "/metrics", nullptr, true, true},
    {Method::get, "/balloon", nullptr, true, true},
    {Method::put, "/machine-config", R"({"vcpu_count":1,"mem_size_mib":128})", true, false},
    {Method::patch, "/machine-config", R"({"vcpu_count":1})", true, false},
    {Method::put, "/boot-source", R"({"kernel_image_path":"k"})", true, false},
    {Method::put, "/vsock", R"({"guest_cid":3,"uds_path":"v"})", true, false},
    {Method::put, "/entropy", "{}", true, false},
    {Method::put, "/serial", "{}", true, false},
    {Method::put, "/balloon",
     R"({"amount_mib":1,"deflate_on_oom":true,"stats_polling_interval_s":1,)"
     R"("free_page_hinting":true})",
     true, false},
    {Method::put, "/logger", "{}", true, false},
    {Method::put, "/actions", R"({"action_type":"FlushMetrics"})", false, true},
    {Method::put, "/actions", R"({"action_type":"SendCtrlAltDel"})", false, true},
    {Method::patch, "/drives/rootfs", R"({"drive_id":"rootfs","path_on_host":"q"})", false, true},
    {Method::patch, "/network-interfaces/eth0", R"({"iface_id":"eth0"})", false, true},
    {Method::patch, "/balloon", R"({"amount_mib":2})", false, true},
    {Method::get, "/balloon/statistics", nullptr, false, true},
    {Method::patch, "/balloon/statistics", R"({"stats_polling_interval_s":2})", false, true},
    {Method::patch, "/balloon/hinting/start", nullptr, false, true},
    {Method::get, "/balloon/hinting/status", nullptr, false, true},
    {Method::patch, "/balloon/hinting/stop", nullptr, false, true},
    {Method::patch, "/vm", R"({"state":"Paused"})", false, true},
    {Method::patch, "/vm", R"({"state":"Paused"})", false, true},  // again
    {Method::patch, "/vm", R"({"state":"Resumed"})", false, true},
};

void set_up(ApiRig& api) {
    REQUIRE(api.put("/drives/rootfs",
                    R"({"drive_id":"rootfs","is_root_device":true,"path_on_host":"p"})")
                .status == Status::no_content);
    REQUIRE(api.put("/network-interfaces/eth0", R"({"iface_id":"eth0","host_dev_name":"tap0"})")
                .status == Status::no_content);
    REQUIRE(api.put("/balloon",
                    R"({"amount_mib":1,"deflate_on_oom":true,"stats_polling_interval_s":1,)"
                    R"("free_page_hinting":true})")
                .status == Status::no_content);
}

TEST_CASE("every endpoint is allowed in its states and in no other") {
    ApiRig api;
    set_up(api);
    bool is_started = false;
    SUBCASE("before the start") {}
    SUBCASE("running") {
        api.start();
        is_started = true;
    }
    SUBCASE("paused") {
        api.start();
        REQUIRE(api.patch("/vm", R"({"state":"Paused"})").status == Status::no_content);
        is_started = true;
    }
    for (const Case& request : cases) {
        INFO(name_of(request.method), " ", request.path);
        const Response response = api.call(
            request.method, request.path,
            request.body != nullptr ? std::optional<std::string>{request.body} : std::nullopt);
        if (is_started ? request.after : request.before) {
            INFO(response.body);
            CHECK(response.status < Status::bad_request);
            CHECK((response.status == Status::ok) == (request.method == Method::get));
        } else {
            CHECK(fault_of(response) == (is_started ? only_before : only_after));
        }
    }
}

TEST_CASE("a body is looked at before the state is") {
    ApiRig api;
    CHECK(fault_of(api.patch("/vm", R"({"state":"Gone"})")) ==
          bad_json + "unknown variant `Gone`, expected `Paused` or `Resumed` at line 1 column 15.");
    CHECK(
        fault_of(api.put("/actions", R"({"action_type":"Jump"})"))
            .starts_with(bad_json +
                         "unknown variant `Jump`, expected one of `FlushMetrics`, `InstanceStart`, "
                         "`SendCtrlAltDel`"));
}

TEST_CASE("requests that lead nowhere are named by method and first word") {
    ApiRig api;
    CHECK(fault_of(api.patch("/boot-source", "{}")) ==
          "Invalid request method and/or path: PATCH boot-source.");
    CHECK(fault_of(api.get("/nothing/at/all")) ==
          "Invalid request method and/or path: GET nothing.");
    CHECK(fault_of(api.get("/vm")) == "Invalid request method and/or path: GET vm.");
    CHECK(fault_of(api.put("/", "{}")) == "Invalid request method and/or path: PUT .");
    CHECK(fault_of(api.put("/hotplug", "{}")) ==
          "Invalid request method and/or path: PUT hotplug.");
    CHECK(fault_of(api.put("/snapshot/foo", "{}")) ==
          "Invalid request method and/or path: PUT /snapshot/foo.");
    CHECK(fault_of(api.call(Method::remove, "/balloon")) ==
          "Invalid request method and/or path: DELETE balloon.");
    CHECK(fault_of(api.get("/balloon/foo")) == "Unrecognized GET request path `foo`.");
    CHECK(fault_of(api.get("/balloon/hinting")) == "Unrecognized GET request path `/hinting/`.");
    CHECK(fault_of(api.patch("/balloon/hinting/jump", "{}")) ==
          "Unrecognized PATCH request path `/hinting/jump`.");
}

TEST_CASE("a body that is missing or too much is said whatever the path") {
    ApiRig api;
    CHECK(fault_of(api.call(Method::put, "/boot-source")) == "Empty PUT request.");
    CHECK(fault_of(api.call(Method::put, "/nothing")) == "Empty PUT request.");
    CHECK(fault_of(api.call(Method::patch, "/vm")) == "Empty PATCH request.");
    CHECK(fault_of(api.call(Method::patch, "/nothing")) == "Empty PATCH request.");
    CHECK(fault_of(api.call(Method::patch, "/balloon")) == "Empty PATCH request.");
    CHECK(fault_of(api.call(Method::patch, "/balloon/statistics")) == "Empty PATCH request.");
    CHECK(fault_of(api.call(Method::get, "/", "{}")) == "GET request cannot have a body.");
    CHECK(fault_of(api.call(Method::get, "/nothing", "{}")) == "GET request cannot have a body.");
    CHECK(fault_of(api.call(Method::remove, "/drives/a", "{}")) == "Empty Delete request.");
}

TEST_CASE("slashes around a path and words behind it do not matter") {
    ApiRig api;
    for (const char* path : {"", "/", "///"}) {
        CHECK(api.get(path).body.starts_with(R"({"id":"vm-1")"));
    }
    CHECK(api.get("//version//").status == Status::ok);
    CHECK(api.get("/machine-config/and/more").status == Status::ok);
    CHECK(api.put("/entropy/and/more", "{}").status == Status::no_content);
}

TEST_CASE("what is still to come says so") {
    ApiRig api;
    const std::pair<const char*, const char*> before[]{
        {"/cpu-config", "{}"},  {"/hotplug/memory", "{}"}, {"/pmem/a", "{}"},
        {"/mmds/config", "{}"}, {"/mmds", "{}"},
    };
    for (const auto& request : before) {
        CAPTURE(request.first);
        CHECK(fault_of(api.put(request.first, request.second)).find("not supported yet.") !=
              std::string::npos);
    }
    api.start();
    CHECK(fault_of(api.get("/mmds")).find("not supported yet.") != std::string::npos);
    CHECK(fault_of(api.call(Method::remove, "/drives/a")).find("PCI is not enabled") !=
          std::string::npos);
    CHECK(fault_of(api.put("/drives/b", R"({"drive_id":"b","is_root_device":false,)"
                                        R"("path_on_host":"p"})"))
              .find("PCI is not enabled") != std::string::npos);
}

TEST_CASE("requests are counted by method and resource") {
    ApiRig api;
    static_cast<void>(api.put("/vsock", R"({"vsock_id":"x","guest_cid":3,"uds_path":"v"})"));
    static_cast<void>(api.put("/drives/a", "{}"));
    static_cast<void>(api.put("/drives/a", "{}"));
    static_cast<void>(api.get("/"));
    MetricsDocument document;
    api.api.counters().report(document);
    auto keys = document.by_key();
    CHECK(keys["put_api_requests"].counters["drive_count"] == 2);
    CHECK(keys["put_api_requests"].counters["drive_fails"] == 2);
    CHECK(keys["put_api_requests"].counters["vsock_fails"] == 0);
    CHECK(keys["get_api_requests"].counters["instance_info_count"] == 1);
    CHECK(keys["deprecated_api"].counters["deprecated_http_api_calls"] == 1);
}

}  // namespace
}  // namespace shoal::api
