#include "controlplane/api/api.h"

#include <doctest/doctest.h>

#include <optional>
#include <system_error>

#include "controlplane/http/problem.h"

namespace shoal::rest::test {
namespace {

// What a request is answered with whose action throws this.
template <typename Error>
Response thrown(const Error& error) {
    Api api;
    api.add("POST", "/v1/x", [&error](const Request&, const Respond&) { throw error; });
    Request request;
    request.method = "POST";
    request.path = {"v1", "x"};
    std::optional<Response> answer;
    api.handle(request, [&answer](Response response) { answer = std::move(response); });
    REQUIRE(answer);
    return std::move(*answer);
}

}  // namespace

TEST_CASE("whatever an action throws is an answer") {
    CHECK(thrown(Problem{409, "it is there"}).status == 409);
    for (const int error : {ENOSPC, EDQUOT}) {
        const Response full =
            thrown(std::system_error{error, std::generic_category(), "cannot create a folder"});
        CHECK(full.status == 507);
        CHECK(full.body.find("Insufficient Storage") != std::string::npos);
        CHECK(full.body.find("cannot create a folder") != std::string::npos);
        CHECK(thrown(std::system_error{error, std::system_category()}).status == 507);
    }
    CHECK(thrown(std::system_error{EMFILE, std::generic_category()}).status == 500);
    CHECK(thrown(std::runtime_error{"it broke"}).body.find("it broke") != std::string::npos);
}

}  // namespace shoal::rest::test
