#include "devices/backend/output_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>

#include "devices/backend/stream.h"

namespace {

using namespace shoal;

struct Folder {
    Folder() {
        std::string name = "/tmp/shoal-output-XXXXXX";
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
};

void write(const host::UniqueFd& fd, std::string_view text) {
    backend::OutputStream stream{fd.get()};
    CHECK(stream.try_write(std::as_bytes(std::span{text})) == text.size());
    CHECK_FALSE(stream.failed());
}

std::string content(const std::filesystem::path& path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

TEST_CASE("an output file is created, and appended to when it exists") {
    const Folder folder;
    const auto path = folder.path / "serial.log";
    write(backend::open_output_file(path), "one");
    CHECK(content(path) == "one");
    write(backend::open_output_file(path), " two");
    CHECK(content(path) == "one two");
}

TEST_CASE("an output pipe needs no reader, and one that comes later reads it all") {
    const Folder folder;
    const auto path = folder.path / "pipe";
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    const host::UniqueFd fd = backend::open_output_file(path);
    write(fd, "early");
    const host::UniqueFd reader{::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    std::array<char, 16> buffer{};
    CHECK(::read(reader.get(), buffer.data(), buffer.size()) == 5);
    CHECK(std::string_view{buffer.data()} == "early");
}

TEST_CASE("an output file that cannot be opened is named") {
    const Folder folder;
    const auto path = folder.path / "missing" / "serial.log";
    try {
        static_cast<void>(backend::open_output_file(path));
        FAIL("it was opened");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::no_such_file_or_directory);
        CHECK(std::string_view{error.what()}.find(path.native()) != std::string_view::npos);
    }
    CHECK_THROWS_AS(static_cast<void>(backend::open_output_file(folder.path)), std::system_error);
}
