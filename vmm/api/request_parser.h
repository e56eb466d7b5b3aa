// RequestParser: the bytes of one connection, as requests.
//
// The rules, the limits and the texts are those of Firecracker's server (micro-http), which clients
// depend on and Boost.Beast's parser cannot be told: a limit for each line instead of for all of
// them, bodies by Content-Length alone (a chunked one is not decoded), four methods, and errors
// that say in its words what is wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vmm/api/http.h"

namespace shoal::api {

// Bytes of the request line and of each header line, with CR LF.
inline constexpr std::size_t max_line_bytes = 1024;
// Header lines of one request. Firecracker has no such limit; the line that is too much is refused.
inline constexpr std::size_t max_header_lines = 256;

class RequestParser {
public:
    explicit RequestParser(std::size_t max_body_bytes) : max_body_bytes_{max_body_bytes} {}

    enum class Event {
        needs_more,     // all bytes were taken and no request is complete
        has_request,    // take_request()
        wants_proceed,  // the client waits for "100 Continue" before it sends the body
        is_refused,     // error() says why; what came with it has been dropped
    };

    // Takes bytes from the front of `bytes` until there is something to say.
    [[nodiscard]] Event advance(std::string_view& bytes);

    [[nodiscard]] Request take_request() noexcept;
    [[nodiscard]] const std::string& error() const noexcept { return error_; }

private:
    enum class State { request_line, header_lines, body, skipped_body };

    [[nodiscard]] bool take_line(std::string_view& bytes);
    void take_request_line();
    [[nodiscard]] Event take_header_line();
    void take_header(std::string_view name, std::string_view value);
    [[nodiscard]] Event end_headers();
    [[nodiscard]] bool take_body(std::string_view& bytes);
    void skip_body(std::string_view& bytes);
    [[nodiscard]] Event refuse(std::string error, std::string_view& bytes);
    void start_over() noexcept;

    const std::size_t max_body_bytes_;
    State state_ = State::request_line;
    std::string line_;
    std::size_t header_lines_ = 0;
    std::uint32_t body_left_ = 0;  // of Content-Length, still to come
    bool expects_proceed_ = false;
    Request request_;
    std::string error_;
};

}  // namespace shoal::api
