// LibraryCache: /etc/ld.so.cache, where ldconfig(8) notes which file a library's name stands for.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace shoal::cli {

class LibraryCache {
public:
    // Of the bytes of such a file (glibc 2.2 and later: "glibc-ld.so.cache1.1"), which are hostile
    // and taken over. Those of another format, or damaged, are a cache that knows nothing.
    explicit LibraryCache(std::vector<char> bytes) noexcept;

    // The path of an x86-64 library that any CPU can run.
    [[nodiscard]] std::optional<std::string> find(std::string_view name) const;

private:
    [[nodiscard]] std::string_view string_at(std::uint32_t offset) const noexcept;

    std::vector<char> bytes_;
    std::size_t count_ = 0;
};

// The cache of the host; larger ones than 16 MiB are not read.
[[nodiscard]] LibraryCache read_library_cache(const char* path);

}  // namespace shoal::cli
