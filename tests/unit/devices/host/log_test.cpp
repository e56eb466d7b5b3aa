// The log: its form, its levels, its targets, and what holds back a guest.
#include "devices/host/log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "devices/host/unique_fd.h"

namespace shoal::host {
namespace {

struct LogFolder {
    LogFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "shoal-log-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    LogFolder(const LogFolder&) = delete;
    LogFolder& operator=(const LogFolder&) = delete;
    // There is one log in the process: off again for the other tests.
    ~LogFolder() {
        configure_log({.path = "/dev/null",
                       .level = LogLevel::off,
                       .show_level = false,
                       .show_origin = false,
                       .module = ""});
        std::filesystem::remove_all(path);
    }
    [[nodiscard]] std::vector<std::string> lines() const {
        std::ifstream file{path / "log"};
        std::vector<std::string> result;
        for (std::string line; std::getline(file, line);) {
            result.push_back(line);
        }
        return result;
    }
    std::filesystem::path path;
};

std::string skeleton_of(std::string line) {
    std::ranges::replace_if(
        line, [](char byte) { return byte >= '0' && byte <= '9'; }, '9');
    return line;
}

TEST_CASE("a log line has Firecracker's form") {
    const LogFolder folder;
    configure_log({.instance_id = "vm-1%d",
                   .path = folder.path / "log",
                   .level = LogLevel::info,
                   .show_level = false,
                   .show_origin = false});
    log(LogLevel::info, "first\nline\x7f");
    configure_log({.show_level = true, .show_origin = true});
    log(LogLevel::error, "second {} %v");
    log(LogLevel::debug, "too much");
    const auto lines = folder.lines();
    REQUIRE(lines.size() == 2);
    // Digits become 9; the thread's name stands behind the id.
    const std::string start = "9999-99-99T99:99:99.999999999 [vm-9%d:";
    CHECK(skeleton_of(lines[0]).starts_with(start));
    CHECK(lines[0].ends_with("] first line "));
    CHECK(skeleton_of(lines[1]).starts_with(start));
    CHECK(lines[1].find(":ERROR:") != std::string::npos);
    CHECK(skeleton_of(lines[1]).ends_with("log_test.cpp:99] second {} %v"));
}

TEST_CASE("lines from other modules are left out") {
    const LogFolder folder;
    configure_log({.path = folder.path / "log", .level = LogLevel::info, .module = "vmm/api"});
    log(LogLevel::error, "from a test");
    configure_log({.module = "tests/unit"});
    log(LogLevel::error, "from a test");
    CHECK(folder.lines().size() == 1);
}

TEST_CASE("a target that cannot be opened is named, and nothing changes") {
    const LogFolder folder;
    configure_log({.path = folder.path / "log", .level = LogLevel::info});
    try {
        configure_log({.path = folder.path / "no" / "such", .level = LogLevel::off});
        FAIL("it was opened");
    } catch (const std::system_error& error) {
        CHECK(std::string{error.what()}.find("no/such") != std::string::npos);
    }
    log(LogLevel::info, "still here");
    CHECK(folder.lines().size() == 1);
}

TEST_CASE("a pipe that nobody reads loses lines, counts them, and does not block") {
    const LogFolder folder;
    const std::string pipe = folder.path / "pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    configure_log({.path = pipe, .level = LogLevel::info});
    const std::uint64_t before = log_counters().missed;
    for (int count = 0; count < 2000; ++count) {
        log(LogLevel::info, std::string(1000, 'x'));
    }
    CHECK(log_counters().missed > before);
}

TEST_CASE("a line is cut where a pipe would mix it with others") {
    const LogFolder folder;
    configure_log({.path = folder.path / "log", .level = LogLevel::info});
    log(LogLevel::info, std::string(1 << 20, 'x'));
    CHECK(std::filesystem::file_size(folder.path / "log") <= 4096);
}

TEST_CASE("a place that a guest can make log is held back after ten lines, and says so later") {
    LogSite site;
    const std::uint64_t start = 1'000'000'000;
    for (unsigned count = 0; count < LogSite::max_lines; ++count) {
        CHECK(site.admits_at(start + count));
    }
    for (unsigned count = 0; count < 1000; ++count) {
        CHECK_FALSE(site.admits_at(start + LogSite::window_ns - 1));
    }
    CHECK(site.admits_at(start + LogSite::window_ns));
    CHECK(site.take_held_back() == 1000);
    CHECK(site.take_held_back() == 0);
}

TEST_CASE("a guest's lines do not flood the log") {
    const LogFolder folder;
    configure_log({.path = folder.path / "log", .level = LogLevel::info});
    const std::uint64_t before = log_counters().rate_limited;
    for (int count = 0; count < 1000; ++count) {
        SHOAL_GUEST_LOG(LogLevel::warn, "a guest did it again");
    }
    // Ten, or twenty when the test was interrupted for five seconds.
    CHECK(folder.lines().size() <= 21);
    CHECK(log_counters().rate_limited - before >= 980);
}

}  // namespace
}  // namespace shoal::host
