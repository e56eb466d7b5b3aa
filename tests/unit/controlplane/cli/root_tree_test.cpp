// Which files of the host join a root, and by which links.
#include "controlplane/cli/root_tree.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/unit/controlplane/cli/folder.h"

namespace shoal::cli {
namespace {

TEST_CASE("a file comes with its folders and the links that lead to it") {
    const Folder host;
    host.write("usr/lib/libz.so.1.2", "Z");
    std::filesystem::create_symlink("libz.so.1.2", host.path("usr/lib/libz.so.1"));
    std::filesystem::create_symlink("usr/lib", host.path("lib"));
    std::filesystem::create_symlink(host.path("lib") + "/../lib/libz.so.1", host.path("z"));
    RootTree tree{-1};
    const auto found = tree.add(host.path("z"));
    REQUIRE(found);
    CHECK(found->path == host.path("usr/lib/libz.so.1.2"));
    CHECK(tree.items().at(host.path("z")).target == host.path("lib") + "/../lib/libz.so.1");
    CHECK(tree.items().at(host.path("lib")).target == "usr/lib");
    CHECK(tree.items().at(host.path("usr/lib/libz.so.1")).target == "libz.so.1.2");
}

TEST_CASE("what does not exist adds nothing") {
    const Folder host;
    host.write("file", "F");
    std::filesystem::create_symlink("loop", host.path("loop"));
    std::filesystem::create_symlink("nowhere", host.path("dangling"));
    RootTree tree{-1};
    for (const char* name : {"missing", "folder/missing", "file/below", "loop", "dangling"}) {
        CHECK_FALSE(tree.add(host.path(name)));
    }
    CHECK(tree.items().empty());
}

TEST_CASE("what --root has counts, and is not added again") {
    const Folder root;
    root.write("etc/passwd", "of the root");
    std::filesystem::create_symlink("etc", root.path("config"));
    const host::UniqueFd fd{root.open()};
    RootTree tree{fd.get()};
    const auto found = tree.add("/config/passwd");
    REQUIRE(found);
    CHECK(found->path == "/etc/passwd");
    CHECK(found->item.origin == RootTree::Origin::root);
    CHECK(tree.items().empty());
    CHECK(static_cast<bool>(tree.open(*found)));
}

TEST_CASE("a folder comes with all that is below it, and what its links lead to") {
    const Folder host;
    host.write("lib/a/b/deep", "D");
    host.write("etc/site.py", "S");
    std::filesystem::create_symlink("../etc/site.py", host.path("lib/site.py"));
    std::filesystem::create_symlink("nowhere", host.path("lib/dangling"));
    std::filesystem::create_symlink("..", host.path("lib/a/up"));
    RootTree tree{-1};
    const auto folder = tree.add(host.path("lib"));
    REQUIRE(folder);
    tree.add_below(*folder);
    for (const char* name : {"lib/a/b/deep", "lib/site.py", "etc/site.py", "lib/dangling"}) {
        CHECK(tree.items().contains(host.path(name)));
    }
    CHECK_FALSE(tree.items().contains(host.path("etc/other")));
}

}  // namespace
}  // namespace shoal::cli
