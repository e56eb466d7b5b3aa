// ScratchFolder: a folder of a test's own, deleted at its end.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "devices/host/os_error.h"

namespace shoal::store::test {

class ScratchFolder {
public:
    ScratchFolder() {
        std::string name = std::filesystem::temp_directory_path() / "shoal-store-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) {
            host::throw_os_error("mkdtemp");
        }
        path_ = name;
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;
    ~ScratchFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::string file(const std::string& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

}  // namespace shoal::store::test
