// Fuzzes /etc/ld.so.cache: a library is found by an absolute path or not at all.
#include "controlplane/cli/library_cache.h"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const shoal::cli::LibraryCache cache{std::vector<char>(data, data + size)};
    const auto found = cache.find("libone.so");
    if (found && !found->starts_with('/')) {
        __builtin_trap();
    }
    return 0;
}
