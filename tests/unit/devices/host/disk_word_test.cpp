#include "devices/host/disk_word.h"

#include <doctest/doctest.h>

namespace shoal::host {

TEST_CASE("a disk is a path, read-only and direct by words behind it") {
    const auto is = [](const char* word, const char* path, bool is_read_only, bool is_direct) {
        const DiskWord disk = parse_disk_word(word);
        CAPTURE(word);
        CHECK(disk.path == path);
        CHECK(disk.is_read_only == is_read_only);
        CHECK(disk.is_direct == is_direct);
    };
    is("/d", "/d", false, false);
    is("/d,ro", "/d", true, false);
    is("/d,direct", "/d", false, true);
    is("/d,ro,direct", "/d", true, true);
    is("/d,direct,ro", "/d", true, true);
    is("/a,b,ro", "/a,b", true, false);
    is("/d,ro,ro", "/d,ro", true, false);
    is("/d,other", "/d,other", false, false);
    is(",ro", "", true, false);
    is("", "", false, false);
}

}  // namespace shoal::host
