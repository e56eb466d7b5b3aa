#include "controlplane/exec/start.h"

#include <doctest/doctest.h>

namespace shoal::exec::test {
namespace {

std::string refusal(std::string_view payload) {
    try {
        static_cast<void>(start_in(payload));
    } catch (const FrameError& error) {
        return error.what();
    }
    return "it is fine";
}

TEST_CASE("exec: a command's words are read as they were written") {
    const Start start{"/tmp", {"sh", "-c", "", "echo \xFF"}, {"A=", "B=c=d"}};
    CHECK(start_in(to_payload(start)) == start);
    const Start least{"", {"a"}, {}};
    CHECK(start_in(to_payload(least)) == least);
    const Start most{"", std::vector<std::string>(1024, "a"), std::vector<std::string>(1024, "A=")};
    CHECK(start_in(to_payload(most)) == most);
}

TEST_CASE("exec: a command that cannot be one is not written") {
    const auto reason = [](const Start& start) -> std::string {
        try {
            return to_payload(start);
        } catch (const FrameError& error) {
            return error.what();
        }
    };
    CHECK(reason({}) == "there is no program to run");
    CHECK(reason({"", {""}, {}}) == "there is no program to run");
    CHECK(reason({"", {"a"}, {"=b"}}) == "=b is not KEY=VALUE");
    CHECK(reason({"", {"a"}, {"b"}}) == "b is not KEY=VALUE");
    CHECK(reason({"", {std::string("a\0b", 3)}, {}}) == "a word has a NUL in it");
    CHECK(reason({"", std::vector<std::string>(1025, "a"), {}}) ==
          "there are more than 1024 words");
    CHECK(reason({"", {std::string(65536, 'a')}, {}}) ==
          "the command's words have 65542 bytes: at most 65536 are allowed");
}

TEST_CASE("exec: a start that is not whole is refused") {
    const std::string whole = to_payload({"/", {"a", "b"}, {"C=d"}});
    for (std::size_t size = 0; size < whole.size(); ++size) {
        CHECK(refusal(std::string_view{whole}.substr(0, size)) != "it is fine");
    }
    CHECK(refusal(whole + "x") == "a start has not as many words as it says");
    CHECK(refusal({"\xFF\xFF\xFF\xFF\0", 5}) == "a start has not as many words as it says");
    CHECK(refusal({"\0\0\0\0\0", 5}) == "there is no program to run");
}

}  // namespace
}  // namespace shoal::exec::test
