// A folder for the files of a test.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <iterator>
#include <string>

#include "vmm/state/snapshot_files.h"

namespace shoal::state::testing {

struct Folder {
    Folder() : Folder{std::filesystem::temp_directory_path()} {}
    explicit Folder(const std::filesystem::path& in) {
        std::string name = (in / "shoal-state-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path); }

    [[nodiscard]] SnapshotPaths paths() const { return {path / "state", path / "memory"}; }
    [[nodiscard]] std::ptrdiff_t file_count() const {
        return std::distance(std::filesystem::directory_iterator{path}, {});
    }
    std::filesystem::path path;
};

}  // namespace shoal::state::testing
