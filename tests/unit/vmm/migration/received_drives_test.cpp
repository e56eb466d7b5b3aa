#include "vmm/migration/received_drives.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace shoal::migration {
namespace {

constexpr std::uint64_t drive_bytes = 2 * page_bytes + 512;

struct Folder {
    Folder() { std::filesystem::create_directory(path); }
    ~Folder() { std::filesystem::remove_all(path); }
    [[nodiscard]] std::string file(const std::string& name) const { return path / name; }
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("shoal-received-" + std::to_string(::getpid()));
};

Hello hello_of(const Folder& folder, const std::vector<std::string>& names) {
    Hello hello;
    for (const std::string& name : names) {
        vmm::DriveConfig& drive = hello.config.drives.emplace_back();
        drive.drive_id = name;
        drive.path_on_host = folder.file(name);
        hello.drives.push_back({name, drive_bytes});
    }
    return hello;
}

std::string content_of(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

TEST_CASE("a drive that is kept holds what was put there, and zeros") {
    const Folder folder;
    {
        ReceivedDrives drives{hello_of(folder, {"a", "b"})};
        CHECK(drives.page_counts() == std::vector<std::uint64_t>{3, 3});
        const std::vector<std::byte> bytes(2 * page_bytes, std::byte{'x'});
        drives.put({1, 2, bytes, 1});  // the last page reaches beyond the end
        drives.put({0, 1, std::span{bytes}.first(page_bytes), 1});
        drives.put({1, 1, {}, 1});
        drives.put({3, 0, {}, 1});
        drives.sync();
        drives.keep();
    }
    CHECK(content_of(folder.file("a")) == std::string(drive_bytes, '\0'));
    CHECK(content_of(folder.file("b")) ==
          std::string(page_bytes, 'x') + std::string(page_bytes, '\0') + std::string(512, 'x'));
}

TEST_CASE("a drive that is not kept leaves nothing, and what was there stays") {
    const Folder folder;
    { const ReceivedDrives drives{hello_of(folder, {"a"})}; }
    CHECK(std::filesystem::is_empty(folder.path));
    std::ofstream{folder.file("b")} << "mine";
    CHECK_THROWS_WITH_AS((ReceivedDrives{hello_of(folder, {"a", "b"})}),
                         doctest::Contains("cannot make the disk image"), std::system_error);
    CHECK_FALSE(std::filesystem::exists(folder.file("a")));
    CHECK(content_of(folder.file("b")) == "mine");
}

}  // namespace
}  // namespace shoal::migration
