// Runs one of Debian's table checkers on bytes, in a folder that is removed afterwards.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>

namespace shoal::firmware::testing {

// `command` finds the bytes in the file table.bin, in its working folder. Returns its output with
// what it wrote to stderr; requires that it succeeds.
inline std::string check_with(const std::string& command, std::span<const std::byte> bytes) {
    std::string folder = (std::filesystem::temp_directory_path() / "shoal-table-XXXXXX").string();
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    {
        std::ofstream file{folder + "/table.bin", std::ios::binary};
        file.write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    }
    const std::string line = "cd " + folder + " && " + command + " > output 2>&1";
    const int status = std::system(line.c_str());
    std::ifstream file{folder + "/output"};
    std::string output{std::istreambuf_iterator<char>{file}, {}};
    // iasl writes its result beside its input.
    if (std::ifstream listing{folder + "/table.dsl"}) {
        output.append(std::istreambuf_iterator<char>{listing}, {});
    }
    std::filesystem::remove_all(folder);
    INFO(output);
    CHECK(status == 0);
    return output;
}

}  // namespace shoal::firmware::testing
