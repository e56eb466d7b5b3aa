// PUT /snapshot/load of the VMM's API.
#include "controlplane/node/clone_request.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace shoal::node {

namespace {

namespace json = boost::json;

json::object to_body(const std::string& state, const std::string& memory,
                     const std::string& vsock) {
    json::object body{{"snapshot_path", state},
                      {"mem_backend", {{"backend_type", "File"}, {"backend_path", memory}}},
                      {"clock_realtime", true},
                      {"resume_vm", true}};
    if (!vsock.empty()) {
        body["vsock_override"] = {{"uds_path", vsock}};
    }
    return body;
}

std::string to_put(const json::object& body) {
    const std::string text = json::serialize(body);
    return "PUT /snapshot/load HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
           "Content-Length: " +
           std::to_string(text.size()) + "\r\n\r\n" + text;
}

}  // namespace

json::array drive_overrides(const std::string& root, const std::vector<std::string>& volumes) {
    json::array drives;
    for (const std::string& path : volumes) {
        drives.push_back({{"drive_id", drive_of_volume(drives.size())}, {"path_on_host", path}});
    }
    if (!root.empty()) {
        drives.push_back({{"drive_id", drive_of_image}, {"path_on_host", root}});
    }
    return drives;
}

std::string to_request(const CloneOrder& order) {
    json::object body = to_body(order.state, order.memory, order.vsock);
    json::object clone{{"id", order.id},
                       {"args", json::array(order.arguments.begin(), order.arguments.end())}};
    if (order.network) {
        body["network_overrides"] = {{{"iface_id", microvm_interface},
                                      {"host_dev_name", order.network->tap},
                                      {"guest_mac", order.network->mac}}};
        clone["boot_args"] = order.network->words;
    }
    body["clone"] = std::move(clone);
    body["track_dirty_pages"] = order.is_saved;
    body["record_working_set"] = order.records;
    body["working_set_path"] = order.working_set;
    return to_put(body);
}

std::string to_request(const RestoreOrder& order) {
    json::object body = to_body(order.state, order.memory, order.vsock);
    if (!order.tap.empty()) {
        body["network_overrides"] = {
            {{"iface_id", microvm_interface}, {"host_dev_name", order.tap}}};
    }
    if (json::array drives = drive_overrides(order.root, order.volumes); !drives.empty()) {
        body["drive_overrides"] = std::move(drives);
    }
    body["track_dirty_pages"] = true;
    return to_put(body);
}

}  // namespace shoal::node
