// Responses, byte for byte.
#include "vmm/api/http.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace shoal::api {

std::string to_wire(const Response& response) {
    std::string bytes = "HTTP/1.1 " + std::to_string(static_cast<unsigned>(response.status)) +
                        " \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n";
    if (response.deprecation == Deprecation::deprecated) {
        bytes += "Deprecation: true\r\n";
    }
    if (response.status != Status::no_content && response.status != Status::proceed) {
        bytes += "Content-Type: " + std::string{response.content_type} +
                 "\r\nContent-Length: " + std::to_string(response.body.size()) + "\r\n";
    }
    bytes += "\r\n";
    bytes += response.body;
    return bytes;
}

Response make_fault(std::string_view message) {
    const boost::json::object body{{"fault_message", boost::json::string{message}}};
    return {Status::bad_request, boost::json::serialize(body)};
}

Response make_http_error(std::string_view message) {
    return {Status::bad_request, "{ \"error\": \"" + std::string{message} +
                                     "\nAll previous unanswered requests will be dropped.\" }"};
}

std::string_view too_many_connections() {
    return "HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\nContent-Length: "
           "40\r\n\r\n"
           "{ \"error\": \"Too many open connections\" }";
}

}  // namespace shoal::api
