#include "controlplane/cli/manifest.h"

#include <doctest/doctest.h>

#include <boost/json/serialize.hpp>

#include "controlplane/cli/cli_error.h"

namespace shoal::cli {
namespace {

std::string read(const std::string& text) {
    return boost::json::serialize(parse_manifest(text, "file"));
}

std::string refusal(const std::string& text) {
    try {
        static_cast<void>(parse_manifest(text, "file"));
        return "";
    } catch (const CliError& error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("JSON and YAML say the same, alone or in lists and documents") {
    const std::string one = R"([{"kind":"group","spec":{"count":3}}])";
    CHECK(read(R"({"kind":"group","spec":{"count":3}})") == one);
    CHECK(read(" " + one) == one);
    CHECK(read("kind: group\nspec:\n  count: 3\n") == one);
    CHECK(read("---\nkind: group\nspec: {count: 3}\n---\n") == one);
    CHECK(read("a: 1\n---\n- b: 2\n- c: 3\n") == R"([{"a":1},{"b":2},{"c":3}])");
    CHECK(read("a: 1\n...\n---\nb: 2\n...\n") == R"([{"a":1},{"b":2}])");
    CHECK(read("a: |\n  ...\n  x\n") == R"([{"a":"...\nx\n"}])");
    CHECK(read("") == "[]");
    CHECK(read("# nothing\n") == "[]");
}

TEST_CASE("YAML's plain words have the types of its core schema, quoted ones are text") {
    CHECK(read("v: [true, ~, no, 5, -5, '5', \"true\", 1.5, 1.2.3, 0x10, 99999999999999999999]") ==
          R"([{"v":[true,null,"no",5,-5,"5","true",1.5E0,"1.2.3","0x10",1E20]}])");
    CHECK(read("v: [!!str 123, !!str true, !!str]") == R"([{"v":["123","true",""]}])");
    CHECK(read("v: |\n  echo a\n  echo b\n") == R"([{"v":"echo a\necho b\n"}])");
    CHECK(read("a: &x [1, 2]\nb: *x\n") == R"([{"a":[1,2],"b":[1,2]}])");
}

TEST_CASE("what is neither is refused with its line, and small files stay small") {
    CHECK(refusal("{").starts_with("file is not JSON"));
    CHECK(refusal("a: [1\nb: 2\n").starts_with("file is neither JSON nor YAML: line "));
    CHECK(refusal("a: 1\n---\nb: 1\nb: 2\n") == "file, line 4: there are two of b");
    static_cast<void>(refusal(",%-"));  // the library's LoadAll does not come back from it
    CHECK(refusal("a: 1\na: 2\n") == "file, line 2: there are two of a");
    CHECK(refusal(std::string{",\0%", 3}).ends_with("it is no text"));  // never ended before
    CHECK(refusal("? [a]\n: 1\n").ends_with("a key must be a word"));
    std::string bomb = "a0: &a0 [x]\n";
    for (int number = 1; number < 12; ++number) {
        const std::string before = "*a" + std::to_string(number - 1);
        const std::string name = "a" + std::to_string(number);
        bomb += name + ": &" + name + " [" + before;
        for (int copy = 0; copy < 9; ++copy) {
            bomb += ", " + before;
        }
        bomb += "]\n";
    }
    CHECK(refusal(bomb).ends_with("it has more than 1000000 values"));
    std::string deep;
    for (int depth = 0; depth < 100; ++depth) {
        deep += "[";
    }
    CHECK(refusal("a: " + deep + std::string(100, ']')).ends_with("nested deeper than 64"));
    CHECK(refusal("a: " + std::string(100'000, '[')) != "");
    CHECK(refusal(std::string(max_manifest_bytes + 1, ' ')).ends_with("16777216 are allowed"));
}

}  // namespace shoal::cli
