// Folder: a folder of files for one test, gone with it.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace shoal::cli {

class Folder {
public:
    Folder() { REQUIRE(::mkdtemp(path_.data()) != nullptr); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }

    [[nodiscard]] std::string path(const std::string& name = "") const {
        return name.empty() ? path_ : path_ + "/" + name;
    }
    void write(const std::string& name, const std::string& contents) const {
        std::filesystem::create_directories(std::filesystem::path{path(name)}.parent_path());
        std::ofstream{path(name)} << contents;
    }
    [[nodiscard]] int open() const {
        return ::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    }

private:
    std::string path_ = "/tmp/shoal-unit-XXXXXX";
};

}  // namespace shoal::cli
