// From a request to an endpoint, and what is said when there is none.
#include "vmm/api/api.h"

#include <algorithm>

#include "devices/host/log.h"
#include "vmm/api/endpoints.h"
#include "vmm/api/utf8.h"
#include "vmm/migration/migration.h"

namespace shoal::api {
namespace {

using Tokens = std::vector<std::string_view>;

Tokens split(std::string_view path) {
    Tokens tokens;
    while (!path.empty()) {
        const std::size_t end = std::min(path.find('/'), path.size());
        tokens.push_back(path.substr(0, end));
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    return tokens;
}

std::string_view trim_slashes(std::string_view path) {
    path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
    path.remove_suffix(path.size() - (path.find_last_not_of('/') + 1));
    return path;
}

bool starts_with(const Tokens& tokens, const Tokens& start) {
    return tokens.size() >= start.size() && std::equal(start.begin(), start.end(), tokens.begin());
}

struct Match {
    const Endpoint* endpoint = nullptr;
    std::size_t token_count = 0;
};

Match find_endpoint(Method method, const Tokens& tokens) {
    Match best;
    for (const Endpoint& endpoint : endpoints()) {
        const Tokens start = split(endpoint.path);
        const bool matches = start.empty() ? tokens.empty() : starts_with(tokens, start);
        if (endpoint.method == method && matches && start.size() >= best.token_count) {
            best = {&endpoint, start.size()};
        }
    }
    return best;
}

// Which requests have a body is checked before the path is, as in Firecracker.
void check_body(const Request& request, const Endpoint* endpoint) {
    const bool may_be_missing = endpoint != nullptr && endpoint->body != Endpoint::Body::required;
    if (request.method == Method::get && request.body) {
        throw Fault{"GET request cannot have a body."};
    }
    if (request.method == Method::remove && request.body) {
        throw Fault{"Empty Delete request."};
    }
    if (request.method == Method::put && !request.body) {
        throw Fault{"Empty PUT request."};
    }
    if (request.method == Method::patch && !request.body && !may_be_missing) {
        throw Fault{"Empty PATCH request."};
    }
}

// "Put": the log says methods so.
std::string in_log(Method method) {
    std::string name{name_of(method)};
    std::transform(name.begin() + 1, name.end(), name.begin() + 1,
                   [](char byte) { return static_cast<char>(byte | 0x20); });
    return name;
}

void log_request(const Request& request) {
    if (!host::log_enabled(host::LogLevel::info)) {
        return;
    }
    std::string line = "The API server received a " + in_log(request.method) + " request on \"" +
                       request.path + "\"";
    if (request.body && !request.path.starts_with("/mmds")) {
        line += " with body \"" + to_utf8(*request.body) + "\"";
    }
    host::log(host::LogLevel::info, line + ".");
}

void log_success(Status status) {
    host::log(host::LogLevel::info, "The request was executed successfully. Status code: " +
                                        std::to_string(static_cast<unsigned>(status)) + ".");
}

Response refuse(const std::string& fault) {
    host::log(host::LogLevel::error,
              "Received Error. Status code: 400 Bad Request. Message: " + fault);
    return make_fault(fault);
}

}  // namespace

Response Api::dispatch(const Request& request) {
    const Tokens tokens = split(trim_slashes(request.path));
    const Match match = find_endpoint(request.method, tokens);
    Response response;
    Deprecation deprecation = Deprecation::none;
    try {
        check_body(request, match.endpoint);
        if (match.endpoint == nullptr) {
            throw Fault{
                "Invalid request method and/or path: " + std::string{name_of(request.method)} +
                " " + std::string{tokens.empty() ? std::string_view{} : tokens.front()} + "."};
        }
        const Call call{
            {tokens.begin() + static_cast<std::ptrdiff_t>(match.token_count), tokens.end()},
            request.body ? std::string_view{*request.body} : std::string_view{}};
        const ParsedRequest parsed = match.endpoint->parse(call);
        deprecation = parsed.deprecation;
        if (context_.migration.is_busy()) {
            check_while_migrating(*match.endpoint);
        }
        check_state(match.endpoint->allowed, context_.microvm.state());
        response = parsed.action(context_);
        log_success(response.status);
    } catch (const std::exception& error) {
        response = refuse(to_utf8(error.what()));
    }
    response.deprecation = deprecation;
    counters_.count(request.method, match.endpoint != nullptr ? match.endpoint->metric : "invalid",
                    response.status, deprecation);
    return response;
}

Response Api::handle(const Request& request) {
    log_request(request);
    return dispatch(request);
}

}  // namespace shoal::api
