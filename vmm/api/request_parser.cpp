// A request line, header lines, a body: one state each.
#include "vmm/api/request_parser.h"

#include <algorithm>
#include <boost/beast/http/field.hpp>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "vmm/api/utf8.h"

namespace shoal::api {
namespace {

namespace http = boost::beast::http;

// Ends in take_request_line(), take_header_line() or end_headers(); text for the client.
struct Refusal : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::string_view trim(std::string_view text) {
    const auto is_space = [](char byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); };
    while (!text.empty() && is_space(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_space(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

Refusal header_refusal(const std::string& reason) {
    return Refusal{"Invalid header. Reason: " + reason};
}

Refusal value_refusal(std::string_view name, std::string_view value) {
    return header_refusal("Invalid value. Key:" + std::string{name} +
                          "; Value:" + std::string{value});
}

Method method_of(std::string_view text) {
    for (const Method method : {Method::get, Method::put, Method::patch, Method::remove}) {
        if (text == name_of(method)) {
            return method;
        }
    }
    throw Refusal{"Invalid HTTP Method: Unsupported HTTP method."};
}

// "http://host/path" and "/path" both become "/path"; anything else has none.
std::string path_of(std::string_view uri) {
    constexpr std::string_view scheme = "http://";
    if (uri.empty()) {
        throw Refusal{"Invalid URI: Empty URI not allowed."};
    }
    if (!is_utf8(uri)) {
        throw Refusal{"Invalid URI: Cannot parse URI as UTF-8."};
    }
    if (uri.starts_with(scheme)) {
        uri.remove_prefix(scheme.size());
        uri.remove_prefix(std::min(uri.find('/'), uri.size()));
    }
    return std::string{uri.starts_with('/') ? uri : std::string_view{}};
}

// An Accept-Encoding that forbids to send a body as it is.
void check_accept_encoding(std::string_view value) {
    const bool names_identity = value.find("identity") != std::string_view::npos;
    for (std::string_view rest = value; !rest.empty();) {
        const std::size_t end = std::min(rest.find(','), rest.size());
        const std::string_view encoding = trim(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (encoding == "identity;q=0" || (encoding == "*;q=0" && !names_identity)) {
            throw value_refusal("Accept-Encoding", encoding);
        }
    }
}

}  // namespace

RequestParser::Event RequestParser::advance(std::string_view& bytes) {
    try {
        while (!bytes.empty()) {
            if (state_ == State::skipped_body) {
                skip_body(bytes);
            } else if (state_ == State::body) {
                if (take_body(bytes)) {
                    return Event::has_request;
                }
            } else if (take_line(bytes)) {
                if (state_ == State::request_line) {
                    take_request_line();
                } else if (const Event event = take_header_line(); event != Event::needs_more) {
                    return event;
                }
            }
        }
    } catch (const Refusal& refusal) {
        return refuse(refusal.what(), bytes);
    }
    return Event::needs_more;
}

// True: line_ is a whole line, without its CR LF.
bool RequestParser::take_line(std::string_view& bytes) {
    while (!bytes.empty()) {
        line_ += bytes.front();
        bytes.remove_prefix(1);
        if (line_.ends_with("\r\n")) {
            line_.resize(line_.size() - 2);
            return true;
        }
        if (line_.size() >= max_line_bytes) {
            throw state_ == State::request_line
                ? Refusal{"Invalid request."}
                : header_refusal("Invalid content length. Header: " + to_utf8(line_));
        }
    }
    return false;
}

void RequestParser::take_request_line() {
    const std::string line = std::exchange(line_, {});
    const std::size_t first = line.find(' ');
    const std::size_t second = first == line.npos ? line.npos : line.find(' ', first + 1);
    if (second == line.npos) {
        throw Refusal{"Invalid request."};
    }
    const std::string_view view{line};
    request_.method = method_of(view.substr(0, first));
    request_.path = path_of(view.substr(first + 1, second - first - 1));
    const std::string_view version = view.substr(second + 1);
    if (version != "HTTP/1.0" && version != "HTTP/1.1") {
        throw Refusal{"Invalid HTTP Version: Unsupported HTTP version."};
    }
    state_ = State::header_lines;
}

RequestParser::Event RequestParser::take_header_line() {
    const std::string line = std::exchange(line_, {});
    if (line.empty()) {
        return end_headers();
    }
    if (!is_utf8(line)) {
        throw header_refusal("Header contains invalid characters. Key: invalid utf-8 sequence");
    }
    if (++header_lines_ > max_header_lines) {
        throw header_refusal("More than " + std::to_string(max_header_lines) + " header lines.");
    }
    const std::size_t colon = line.find(':');
    if (colon == line.npos) {
        throw header_refusal("Header is incorrectly formatted. Key: " + line);
    }
    take_header(std::string_view{line}.substr(0, colon), std::string_view{line}.substr(colon + 1));
    return Event::needs_more;
}

// What is not of interest, or has a value that is not known, is passed over.
void RequestParser::take_header(std::string_view name, std::string_view value) {
    const std::string_view trimmed = trim(value);
    switch (const auto key = trim(name); http::string_to_field({key.data(), key.size()})) {
        case http::field::content_length: {
            const char* const end = trimmed.data() + trimmed.size();
            const auto digits = trimmed.starts_with('+') ? trimmed.substr(1) : trimmed;
            const auto [stop, error] = std::from_chars(digits.data(), end, body_left_);
            if (error != std::errc{} || stop != end) {
                throw value_refusal(name, value);
            }
            break;
        }
        case http::field::expect:
            expects_proceed_ = expects_proceed_ || trimmed == "100-continue";
            break;
        case http::field::accept_encoding:
            if (trimmed.empty()) {
                throw Refusal{"Invalid request."};
            }
            check_accept_encoding(trimmed);
            break;
        default:
            break;
    }
}

RequestParser::Event RequestParser::end_headers() {
    if (body_left_ == 0) {
        return Event::has_request;
    }
    if (body_left_ > max_body_bytes_) {
        state_ = State::skipped_body;
        throw Refusal{"Request payload with size " + std::to_string(body_left_) +
                      " is larger than the limit of " + std::to_string(max_body_bytes_) +
                      " allowed by server."};
    }
    request_.body.emplace();
    state_ = State::body;
    return expects_proceed_ ? Event::wants_proceed : Event::needs_more;
}

// True: the body is complete.
bool RequestParser::take_body(std::string_view& bytes) {
    const std::size_t count = std::min<std::size_t>(bytes.size(), body_left_);
    request_.body->append(bytes.substr(0, count));
    bytes.remove_prefix(count);
    body_left_ -= static_cast<std::uint32_t>(count);
    return body_left_ == 0;
}

void RequestParser::skip_body(std::string_view& bytes) {
    const std::size_t count = std::min<std::size_t>(bytes.size(), body_left_);
    bytes.remove_prefix(count);
    body_left_ -= static_cast<std::uint32_t>(count);
    if (body_left_ == 0) {
        start_over();
    }
}

// A body that is too large is known to the byte, and skipped, so that the connection is in step
// again behind it; a client that waits for "100 Continue" does not send it. In all other cases
// nobody knows where the next request starts: what has been received is dropped.
RequestParser::Event RequestParser::refuse(std::string error, std::string_view& bytes) {
    const bool body_comes = state_ == State::skipped_body && !expects_proceed_;
    const std::uint32_t body_left = body_left_;
    start_over();
    error_ = std::move(error);
    if (body_comes) {
        state_ = State::skipped_body;
        body_left_ = body_left;
    } else {
        bytes = {};
    }
    return Event::is_refused;
}

Request RequestParser::take_request() noexcept {
    Request request = std::move(request_);
    start_over();
    return request;
}

void RequestParser::start_over() noexcept {
    state_ = State::request_line;
    line_.clear();
    header_lines_ = 0;
    body_left_ = 0;
    expects_proceed_ = false;
    request_ = {};
}

}  // namespace shoal::api
