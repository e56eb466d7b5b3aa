// LibrarySearch: where a dynamic linker looks for a library, in its order (ld.so(8); musl's
// dynlink.c for programs of musl).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/cli/elf_file.h"
#include "controlplane/cli/library_cache.h"

namespace shoal::cli {

// A program or library that needs others.
struct Requester {
    std::string path;    // where it was found
    std::string folder;  // $ORIGIN
    ElfFile elf;
    const Requester* parent = nullptr;  // who needed it; the program has none
};

class LibrarySearch {
public:
    // `interpreter` is the dynamic linker's path, `library_path` the program's LD_LIBRARY_PATH.
    LibrarySearch(std::string_view interpreter, std::string_view library_path);

    // Paths to try, the first that exists is it. One for a name with a slash, none for a library
    // that is part of the dynamic linker.
    [[nodiscard]] std::vector<std::string> candidates(const std::string& name,
                                                      const Requester& requester) const;

private:
    [[nodiscard]] bool is_built_in(std::string_view name) const;

    bool is_musl_;
    std::vector<std::string> library_path_;
    std::vector<std::string> standard_folders_;
    LibraryCache cache_;
};

// The words between the separators, empty ones included.
[[nodiscard]] std::vector<std::string> split(std::string_view text, std::string_view separators);

}  // namespace shoal::cli
