// A dozen routes are looked at one after the other.
#include "controlplane/api/api.h"

#include <algorithm>
#include <exception>
#include <memory>

#include "controlplane/http/problem.h"
#include "controlplane/http/target.h"

namespace shoal::rest {
namespace {

bool matches(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
    return std::ranges::equal(pattern, path,
                              [](const std::string& expected, const std::string& segment) {
                                  return expected == "*" ? !segment.empty() : expected == segment;
                              });
}

}  // namespace

void Api::add(std::string method, std::string_view pattern, Action action) {
    Request parsed;
    parse_target(pattern, parsed);
    routes_.push_back({std::move(method), std::move(parsed.path), std::move(action)});
}

void Api::handle(const Request& request, Respond respond) const {
    std::string allowed;
    for (const Route& route : routes_) {
        if (!matches(route.path, request.path)) {
            continue;
        }
        if (route.method != request.method) {
            allowed += (allowed.empty() ? "" : ", ") + route.method;
            continue;
        }
        return answer_or_refuse(std::move(respond),
                                [&](Respond answer) { route.action(request, std::move(answer)); });
    }
    if (allowed.empty()) {
        return respond(to_response(Problem{404, "there is nothing at this path"}));
    }
    Response response = to_response(Problem{405, "this path takes " + allowed});
    response.headers["Allow"] = allowed;
    respond(std::move(response));
}

void answer_or_refuse(Respond respond, const std::function<void(Respond)>& act) {
    // Kept here too, for what is refused before an answer was promised.
    const auto shared = std::make_shared<Respond>(std::move(respond));
    try {
        act([shared](Response response) { (*shared)(std::move(response)); });
    } catch (const Problem& problem) {
        (*shared)(to_response(problem));
    } catch (const std::exception& error) {  // Nobody else's microVMs are to hear of it.
        (*shared)(to_failure(error));
    }
}

}  // namespace shoal::rest
