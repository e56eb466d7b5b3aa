// /etc/ld.so.cache, sound and damaged.
#include "controlplane/cli/library_cache.h"

#include <doctest/doctest.h>

#include <cstring>

namespace shoal::cli {
namespace {

struct Image {
    char magic[20] = {'g', 'l', 'i', 'b', 'c', '-', 'l', 'd', '.', 's',
                      'o', '.', 'c', 'a', 'c', 'h', 'e', '1', '.', '1'};
    std::uint32_t count = 3;
    std::uint32_t unused[6]{};
    struct Entry {
        std::int32_t flags = 0x0303;
        std::uint32_t key = 0;
        std::uint32_t value = 0;
        std::uint32_t os_version = 0;
        std::uint32_t hardware[2]{};
    } entries[3];
    char strings[64] = "libone.so\0/opt/32/libone.so\0/opt/v3/libone.so\0/opt/libone.so";

    Image() {
        constexpr std::uint32_t start = offsetof(Image, strings);
        for (Entry& entry : entries) {
            entry.key = start;
        }
        entries[0].value = start + 10;
        entries[0].flags = 0x0003;  // i386
        entries[1].value = start + 28;
        entries[1].hardware[1] = 1;
        entries[2].value = start + 46;
    }
    [[nodiscard]] LibraryCache cache(std::size_t size = sizeof(Image)) const {
        const auto* start = reinterpret_cast<const char*>(this);
        std::vector<char> bytes(start, start + size);
        return LibraryCache{std::move(bytes)};
    }
};

TEST_CASE("a library is found for this machine and any CPU of it") {
    const Image image;
    CHECK(image.cache().find("libone.so") == "/opt/libone.so");
    CHECK_FALSE(image.cache().find("libtwo.so").has_value());
    CHECK_FALSE(image.cache().find("").has_value());
}

TEST_CASE("a damaged cache knows nothing") {
    Image image;
    SUBCASE("another format") {
        image.magic[0] = 'x';
    }
    SUBCASE("more entries than bytes") {
        image.count = ~0U;
    }
    SUBCASE("names beyond the end") {
        image.entries[2].key = ~0U;
    }
    SUBCASE("paths beyond the end") {
        image.entries[2].value = sizeof image;
    }
    CHECK_FALSE(image.cache().find("libone.so").has_value());
}

TEST_CASE("a cache cut off anywhere is read without harm") {
    const Image image;
    for (std::size_t size = 0; size < sizeof image; ++size) {
        const auto found = image.cache(size).find("libone.so");
        CHECK((!found || std::string_view{"/opt/libone.so"}.starts_with(*found)));
    }
}

}  // namespace
}  // namespace shoal::cli
