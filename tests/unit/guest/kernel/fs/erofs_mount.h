// ErofsMount: an EROFS image in memory, mounted as the root of a file system for tests.
#pragma once

#include <optional>

#include "guest/kernel/fs/erofs_tree.h"
#include "tests/unit/guest/kernel/fs/fake_disk.h"
#include "tests/unit/guest/kernel/fs/fake_kernel.h"

namespace shoal::guest::fake {

struct ErofsMount {
    explicit ErofsMount(std::vector<std::byte> image) : disk{std::move(image)} {
        const auto opened = ErofsImage::open(cache);
        if (!opened) {
            error = opened.error();
            return;
        }
        tree.emplace(*opened, files, devices);
        if (!mount_erofs(files, *tree)) {
            error = "no root directory";
        }
    }

    const char* error = nullptr;  // why it is not mounted
    FakeDisk disk;
    BlockCache cache{disk, 0};
    Console console;
    std::optional<ErofsTree> tree;  // outlives the files
    FileSystem files{now};
    Devices devices{files, console, fill_random};
};

}  // namespace shoal::guest::fake
