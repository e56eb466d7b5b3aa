#include "controlplane/http/target.h"

#include <doctest/doctest.h>

#include <string>

#include "controlplane/api/api.h"
#include "controlplane/http/problem.h"

namespace shoal::rest::test {

namespace {

unsigned status_of(const std::string& target) {
    Request request;
    try {
        parse_target(target, request);
        return 200;
    } catch (const Problem& problem) {
        return problem.status();
    }
}

}  // namespace

TEST_CASE("a target's segments and parameters are decoded") {
    Request request;
    parse_target("/v1/a%2Fb//c?limit=5&x=%26=&flag", request);
    CHECK(request.path == std::vector<std::string>{"v1", "a/b", "", "c"});
    CHECK(request.query ==
          std::map<std::string, std::string>{{"limit", "5"}, {"x", "&="}, {"flag", ""}});
    CHECK(number_of(request, "limit", 1, 5) == 5);
    CHECK(number_of(request, "absent", 1, 5) == 1);
    CHECK_THROWS_AS(static_cast<void>(number_of(request, "limit", 1, 4)), Problem);
    CHECK_THROWS_AS(static_cast<void>(number_of(request, "flag", 1, 4)), Problem);
    CHECK_THROWS_AS(expect_parameters(request, {"limit", "x"}), Problem);
    expect_parameters(request, {"limit", "x", "flag"});
}

TEST_CASE("a target that is put together is taken apart to the same") {
    Request request;
    request.path = {"v1", "a/b", "c d?%", "\xC3\xA9"};
    request.query = {{"a&b", "=1"}, {"flag", ""}, {"x", "+"}};
    Request again;
    parse_target(to_target(request), again);
    CHECK(again.path == request.path);
    CHECK(again.query == request.query);
    CHECK(to_target(Request{}) == "/");
    request.path.clear();
    CHECK(to_target(request).starts_with("/?"));
}

TEST_CASE("targets that are hostile or too large are refused") {
    for (const char* target : {"", "v1", "*", "/%", "/%1", "/%zz", "/%00", "/a?%x=1", "/%+1"}) {
        CAPTURE(target);
        CHECK(status_of(target) == 400);
    }
    CHECK(status_of("/a/b/c/d/e/f/g/h") == 200);
    CHECK(status_of("/a/b/c/d/e/f/g/h/i") == 404);
    CHECK(status_of("/" + std::string(4095, 'a')) == 200);
    CHECK(status_of("/" + std::string(4096, 'a')) == 400);
    std::string many = "/?0";
    for (int i = 1; i < 16; ++i) {
        many += "&" + std::to_string(i);
    }
    CHECK(status_of(many) == 200);
    CHECK(status_of(many + "&16") == 400);
}

TEST_CASE("a request finds its route, or hears what there is") {
    Api api;
    api.add("GET", "/v1/things/*", [](const Request& request, Respond respond) {
        if (request.path[2] == "bad") {
            throw Problem{422, "it is \"bad\""};
        }
        respond({.status = 200, .body = request.path[2]});
    });
    api.add("DELETE", "/v1/things/*", [](const Request&, Respond respond) { respond({}); });
    const auto ask = [&api](const std::string& method, const std::string& target) {
        Request request;
        request.method = method;
        parse_target(target, request);
        Response answer;
        api.handle(request, [&answer](Response response) { answer = std::move(response); });
        return answer;
    };
    CHECK(ask("GET", "/v1/things/a").body == "a");
    CHECK(ask("GET", "/v1/things/").status == 404);
    CHECK(ask("GET", "/v1/things/a/b").status == 404);
    const Response refused = ask("POST", "/v1/things/a");
    CHECK(refused.status == 405);
    CHECK(refused.headers.at("Allow") == "GET, DELETE");
    CHECK(ask("GET", "/v1/things/bad").body ==
          R"({"type":"about:blank","title":"Unprocessable Content","status":422,)"
          R"("detail":"it is \"bad\""})");
}

}  // namespace shoal::rest::test
