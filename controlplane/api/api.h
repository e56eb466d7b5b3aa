// Api: the table of what can be asked, and the way there. openapi.yaml is the reference.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "controlplane/http/exchange.h"

namespace shoal::rest {

class Api {
public:
    // Throws Problem, or answers.
    using Action = std::function<void(const Request&, Respond)>;

    // `pattern` is a path in which * stands for one segment: /v1/microvms/*
    void add(std::string method, std::string_view pattern, Action action);

    // Never throws what a request can bring about.
    void handle(const Request& request, Respond respond) const;

private:
    struct Route {
        std::string method;
        std::vector<std::string> path;
        Action action;
    };

    std::vector<Route> routes_;
};

// Has `act` answer, or answers with what it throws: a Problem, or what has failed. Actions have it;
// what they leave for later needs it for itself.
void answer_or_refuse(Respond respond, const std::function<void(Respond)>& act);

}  // namespace shoal::rest
