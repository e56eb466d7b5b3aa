#include "controlplane/store/line_splitter.h"

#include <doctest/doctest.h>

#include <vector>

namespace shoal::store::test {

namespace {

constexpr std::size_t limit = 5;

struct Lines {
    bool feed(std::string_view bytes) {
        return splitter.feed(bytes, [this](std::string_view line) {
            seen.emplace_back(line);
            return line != "stop";
        });
    }

    LineSplitter splitter{limit};
    std::vector<std::string> seen;
};

}  // namespace

TEST_CASE("lines are cut wherever the pieces of a stream end") {
    Lines lines;
    CHECK(lines.feed("ab"));
    CHECK(lines.seen.empty());
    CHECK(lines.feed("c\n\nde\nf"));
    CHECK(lines.seen == std::vector<std::string>{"abc", "", "de"});
    CHECK(lines.feed("\n"));
    CHECK(lines.seen.back() == "f");
}

TEST_CASE("a line longer than the limit ends the stream") {
    Lines lines;
    CHECK(lines.feed("12345\n"));
    SUBCASE("at once") {
        CHECK(!lines.feed("123456"));
    }
    SUBCASE("in pieces") {
        CHECK(lines.feed("123"));
        CHECK(!lines.feed("456\n"));
    }
    CHECK(lines.seen.size() == 1);
}

TEST_CASE("nothing follows a line that ends the stream") {
    Lines lines;
    CHECK(!lines.feed("a\nstop\nb\n"));
    CHECK(lines.seen == std::vector<std::string>{"a", "stop"});
}

}  // namespace shoal::store::test
