// The words of HTTP that the API uses: a request that has been read, a response to be written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace shoal::api {

enum class Method { get, put, patch, remove };  // remove: DELETE

[[nodiscard]] constexpr std::string_view name_of(Method method) {
    constexpr std::string_view names[]{"GET", "PUT", "PATCH", "DELETE"};
    return names[static_cast<unsigned>(method)];
}

struct Request {
    Method method = Method::get;
    std::string path;                 // of the URI, from its first slash on; may be empty
    std::optional<std::string> body;  // absent: no Content-Length, or one of 0
};

enum class Status : std::uint16_t {
    proceed = 100,  // "100 Continue"
    ok = 200,
    no_content = 204,
    bad_request = 400,
    payload_too_large = 413,
    service_unavailable = 503,
};

// Whether what was asked for is going to disappear from the API; the client is told.
enum class Deprecation { none, deprecated };

struct Response {
    Status status = Status::no_content;
    std::string body;  // none with no_content and proceed
    std::string_view content_type = "application/json";
    Deprecation deprecation = Deprecation::none;
};

// The bytes on the wire, exactly as Firecracker's server writes them: no reason phrase, this order
// of headers, no Content-Length without a body.
[[nodiscard]] std::string to_wire(const Response& response);

// {"fault_message":"..."}: how the API says no.
[[nodiscard]] Response make_fault(std::string_view message);

// How the HTTP level says no. As in Firecracker it is JSON but for the raw line feed.
[[nodiscard]] Response make_http_error(std::string_view message);

// What the eleventh connection gets before it is closed.
[[nodiscard]] std::string_view too_many_connections();

}  // namespace shoal::api
