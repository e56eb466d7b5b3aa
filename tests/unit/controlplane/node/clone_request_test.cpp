#include "controlplane/node/clone_request.h"

#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <string>

namespace shoal::node::test {

namespace {

// Of a whole request, whose length must be the one that it says.
boost::json::value body_of(const std::string& request) {
    const std::size_t end = request.find("\r\n\r\n");
    REQUIRE(end != std::string::npos);
    const std::string body = request.substr(end + 4);
    CHECK(request.starts_with("PUT /snapshot/load HTTP/1.1\r\n"));
    CHECK(request.find("Content-Length: " + std::to_string(body.size()) + "\r\n") < end);
    return boost::json::parse(body);
}

}  // namespace

TEST_CASE(
    "a clone is told who and where it is, and what it writes is logged if it is to be saved") {
    CloneOrder order{.state = "/t/state",
                     .memory = "/t/memory",
                     .working_set = "/t/set",
                     .id = "a",
                     .arguments = {"x", "\"y\""},
                     .vsock = "/run/vsock"};
    CHECK(body_of(to_request(order)) == boost::json::parse(R"({
        "snapshot_path": "/t/state", "resume_vm": true, "clock_realtime": true,
        "mem_backend": {"backend_type": "File", "backend_path": "/t/memory"},
        "vsock_override": {"uds_path": "/run/vsock"}, "track_dirty_pages": false, "record_working_set": false,
        "working_set_path": "/t/set",
        "clone": {"id": "a", "args": ["x", "\"y\""]}})"));
    order.is_saved = true;
    CHECK(body_of(to_request(order)).at("track_dirty_pages") == true);
    order.network = {"shtap7", "06:00:0a:00:00:02", "ip=10.0.0.2::10.0.0.1:255.255.255.0:::off"};
    const auto body = body_of(to_request(order));
    CHECK(body.at("network_overrides") == boost::json::parse(R"([
        {"iface_id": "eth0", "host_dev_name": "shtap7", "guest_mac": "06:00:0a:00:00:02"}])"));
    CHECK(body.at("clone").at("boot_args") == "ip=10.0.0.2::10.0.0.1:255.255.255.0:::off");
    order.records = true;
    CHECK(body_of(to_request(order)).at("record_working_set") == true);
}

TEST_CASE("one that goes on elsewhere keeps who it is, and gets its devices of that host") {
    CHECK(body_of(to_request(
              RestoreOrder{"/c/state", "/c/memory", "/run/vsock", "shtap7", {"/v/a", "/v/b"}})) ==
          boost::json::parse(R"({
        "snapshot_path": "/c/state", "resume_vm": true, "clock_realtime": true,
        "mem_backend": {"backend_type": "File", "backend_path": "/c/memory"},
        "vsock_override": {"uds_path": "/run/vsock"}, "track_dirty_pages": true,
        "network_overrides": [{"iface_id": "eth0", "host_dev_name": "shtap7"}],
        "drive_overrides": [{"drive_id": "disk0", "path_on_host": "/v/a"},
                            {"drive_id": "disk1", "path_on_host": "/v/b"}]})"));
    const auto of_image = body_of(
        to_request(RestoreOrder{"/c/state", "/c/memory", "", "", {"/v/a"}, "/i/root.erofs"}));
    CHECK(of_image.at("drive_overrides") == boost::json::parse(R"([
        {"drive_id": "disk0", "path_on_host": "/v/a"},
        {"drive_id": "root", "path_on_host": "/i/root.erofs"}])"));
    const auto bare = body_of(to_request(RestoreOrder{"/c/state", "/c/memory", "", ""}));
    CHECK_FALSE(bare.as_object().contains("vsock_override"));
    CHECK_FALSE(bare.as_object().contains("network_overrides"));
    CHECK_FALSE(bare.as_object().contains("drive_overrides"));
}

}  // namespace shoal::node::test
