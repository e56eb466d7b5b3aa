// The format of ld.so.cache, as glibc's sysdeps/generic/dl-cache.h describes it.
#include "controlplane/cli/library_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "devices/host/unique_fd.h"

namespace shoal::cli {
namespace {

constexpr std::string_view magic = "glibc-ld.so.cache1.1";
constexpr std::size_t header_size = 48;
constexpr std::size_t count_at = 20;
constexpr std::int32_t elf_libc6_x86_64 = 0x0303;
constexpr off_t size_max = 16 << 20;

struct Entry {
    std::int32_t flags;
    std::uint32_t key;  // offsets of strings from the start of the file
    std::uint32_t value;
    std::uint32_t os_version;
    std::uint64_t hardware;  // 0: for every CPU
};
static_assert(sizeof(Entry) == 24);

}  // namespace

LibraryCache::LibraryCache(std::vector<char> bytes) noexcept : bytes_{std::move(bytes)} {
    if (bytes_.size() < header_size || !string_at(0).starts_with(magic)) {
        return;
    }
    std::uint32_t count = 0;
    std::memcpy(&count, bytes_.data() + count_at, sizeof count);
    if (count <= (bytes_.size() - header_size) / sizeof(Entry)) {
        count_ = count;
    }
}

std::string_view LibraryCache::string_at(std::uint32_t offset) const noexcept {
    if (offset >= bytes_.size()) {
        return {};
    }
    return {bytes_.data() + offset, ::strnlen(bytes_.data() + offset, bytes_.size() - offset)};
}

std::optional<std::string> LibraryCache::find(std::string_view name) const {
    for (std::size_t idx = 0; idx < count_; ++idx) {
        Entry entry{};
        std::memcpy(&entry, bytes_.data() + header_size + idx * sizeof entry, sizeof entry);
        if (entry.flags == elf_libc6_x86_64 && entry.hardware == 0 &&
            string_at(entry.key) == name && string_at(entry.value).starts_with('/')) {
            return std::string{string_at(entry.value)};
        }
    }
    return std::nullopt;
}

LibraryCache read_library_cache(const char* path) {
    const host::UniqueFd file{::open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) < 0 || status.st_size > size_max) {
        return LibraryCache{{}};
    }
    std::vector<char> bytes(static_cast<std::size_t>(status.st_size));
    const ssize_t count = ::pread(file.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    return LibraryCache{std::move(bytes)};
}

}  // namespace shoal::cli
