#include "controlplane/cli/document.h"

#include <doctest/doctest.h>

#include <boost/json/parse.hpp>

#include "controlplane/cli/client.h"

namespace shoal::cli {
namespace {

namespace json = boost::json;

TEST_CASE(
    "a table has columns as wide as their cells, and nothing that moves a terminal's cursor") {
    const json::value items = json::parse(
        R"([{"name":"a","status":{"phase":"running","exit":null}},
            {"name":"longer\u001b[2J","status":{"phase":"failed","exit":3}}, {}])");
    CHECK(to_table(items.as_array(),
                   {{"NAME", "name"}, {"PHASE", "status.phase"}, {"EXIT", "status.exit"}}) ==
          "NAME         PHASE     EXIT\n"
          "a            running   -\n"
          "longer?[2J   failed    3\n"
          "-            -         -\n");
    CHECK(to_table({}, {{"NAME", "name"}}) == "NAME\n");
}

TEST_CASE("a description has a line for each value that is there") {
    CHECK(to_description(json::parse(
              R"({"name":"a","spec":{"arguments":["x"],"labels":{},"restart":""},"gone":null})")) ==
          "name: a\nspec:\n  arguments: [\"x\"]\n");
    CHECK(to_description(json::parse("[1]")).empty());
}

TEST_CASE("a name is one segment of a path, whatever is in it") {
    CHECK(percent_encode("web-0.x_") == "web-0.x_");
    CHECK(percent_encode("a/b?c %\xC3") == "a%2Fb%3Fc%20%25%C3");
}

}  // namespace
}  // namespace shoal::cli
