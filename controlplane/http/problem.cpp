// Titles are HTTP's own (RFC 9110), so that `type` can stay "about:blank".
#include "controlplane/http/problem.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>
#include <cerrno>
#include <system_error>

#include "devices/host/log.h"

namespace shoal::rest {
namespace {

const char* title_of(unsigned status) {
    switch (status) {
        case 400:
            return "Bad Request";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 421:
            return "Misdirected Request";
        case 422:
            return "Unprocessable Content";
        case 426:
            return "Upgrade Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 507:
            return "Insufficient Storage";
        default:
            return "Internal Server Error";
    }
}

}  // namespace

std::string quote(const std::string& text) {
    return boost::json::serialize(boost::json::value(text));
}

Response to_response(const Problem& problem) {
    Response response;
    response.status = problem.status();
    response.content_type = "application/problem+json";
    response.body = R"({"type":"about:blank","title":)" + quote(title_of(problem.status())) +
                    R"(,"status":)" + std::to_string(problem.status()) + R"(,"detail":)" +
                    quote(problem.what()) + "}";
    return response;
}

Response to_failure(const std::exception& error) {
    const auto* const system = dynamic_cast<const std::system_error*>(&error);
    const bool is_full =
        system != nullptr && (system->code() == std::errc::no_space_on_device ||
                              system->code() == std::error_code{EDQUOT, std::generic_category()} ||
                              system->code() == std::error_code{EDQUOT, std::system_category()});
    host::log(host::LogLevel::error, std::string{"a request failed: "} + error.what());
    return to_response(Problem{is_full ? 507U : 500U, error.what()});
}

std::string detail_of(const Response& response) {
    boost::json::error_code error;
    const boost::json::value body = boost::json::parse(response.body, error);
    const auto* const detail =
        !error && body.is_object() ? body.get_object().if_contains("detail") : nullptr;
    return detail != nullptr && detail->is_string()
               ? std::string{detail->get_string()}
               : "it answers with status " + std::to_string(response.status);
}

}  // namespace shoal::rest
