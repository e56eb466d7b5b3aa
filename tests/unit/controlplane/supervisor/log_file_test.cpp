#include "controlplane/supervisor/log_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::supervisor::test {

TEST_CASE("a log keeps its newest bytes, at the offsets that they always had") {
    const store::test::ScratchFolder scratch;
    const std::string path = scratch.file("a.log");
    constexpr std::uint64_t limit = 128 << 10;
    std::string all;
    for (int half = 0; half < 2; ++half) {  // the second after a restart
        LogFile log{path, limit};
        for (int line = 0; line < 20'000; ++line) {
            const std::string text = std::to_string(half) + " " + std::to_string(line) + "\n";
            log.append(text);
            all += text;
        }
    }
    const host::UniqueFd file{::open(path.c_str(), O_RDONLY)};
    struct stat status {};
    REQUIRE(::fstat(file.get(), &status) == 0);
    CHECK(static_cast<std::size_t>(status.st_size) == all.size());
    CHECK(status.st_blocks * 512 >= static_cast<blkcnt_t>(limit));
    CHECK(status.st_blocks * 512 <= static_cast<blkcnt_t>(limit + (80 << 10)));
    std::string kept(limit, '\0');
    const auto at = static_cast<off_t>(all.size() - limit);
    REQUIRE(::pread(file.get(), kept.data(), kept.size(), at) == static_cast<ssize_t>(limit));
    CHECK(kept == all.substr(all.size() - limit));
}

}  // namespace shoal::supervisor::test
