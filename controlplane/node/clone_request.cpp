// PUT /snapshot/load of the VMM's API.
#include "controlplane/node/clone_request.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace shoal::node {

std::string to_request(const CloneOrder& order) {
    boost::json::object body{
        {"snapshot_path", order.state},
        {"mem_backend", {{"backend_type", "File"}, {"backend_path", order.memory}}},
        {"clock_realtime", true},
        {"resume_vm", true},
        {"clone",
         {{"id", order.id},
          {"args", boost::json::array(order.arguments.begin(), order.arguments.end())}}}};
    if (!order.vsock.empty()) {
        body["vsock_override"] = {{"uds_path", order.vsock}};
    }
    const std::string text = boost::json::serialize(body);
    return "PUT /snapshot/load HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
           "Content-Length: " +
           std::to_string(text.size()) + "\r\n\r\n" + text;
}

}  // namespace shoal::node
