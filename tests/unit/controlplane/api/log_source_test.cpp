#include "controlplane/api/log_source.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <fstream>

#include "devices/host/unique_fd.h"
#include "tests/unit/controlplane/cli/folder.h"

namespace shoal::rest::test {

TEST_CASE("the last lines of a log begin where so many of them follow") {
    const cli::Folder folder;
    const std::string path = folder.path("log");
    const auto offset = [&](const std::string& text, std::uint64_t count) {
        std::ofstream{path, std::ios::binary} << text;
        return offset_of_last_lines(path, count);
    };
    CHECK(offset_of_last_lines(path, 5) == 0);  // there is none yet
    CHECK(offset("", 5) == 0);
    CHECK(offset("a\nb\nc\n", 0) == 6);
    CHECK(offset("a\nb\nc\n", 1) == 4);
    CHECK(offset("a\nb\nc\n", 2) == 2);
    CHECK(offset("a\nb\nc\n", 3) == 0);
    CHECK(offset("a\nb\nc\n", 1000) == 0);
    CHECK(offset("a\nb\nprompt", 1) == 4);
    CHECK(offset("a\nb\nprompt", 2) == 2);
    CHECK(offset("\nb\n", 2) == 0);
    CHECK(offset("\n\n\n", 1) == 2);
    CHECK(offset("x", 1) == 0);
    SUBCASE("as far as they are in what is looked at") {
        CHECK(offset("a\n" + std::string(100'000, 'x'), 1) == 100'002 - 65536);
        CHECK(offset(std::string(100'000, '\n'), 1000) == 99'000);
    }
    SUBCASE("and were not given back to the file system") {
        std::ofstream{path, std::ios::binary} << std::string(8192, 'x') + "\nlast\n";
        const host::UniqueFd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
        REQUIRE(::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
        CHECK(offset_of_last_lines(path, 1) == 8193);
        CHECK(offset_of_last_lines(path, 9) == 4096);
    }
}

}  // namespace shoal::rest::test
