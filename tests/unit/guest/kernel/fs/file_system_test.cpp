// The tree: names, links, renames and paths.
#include "guest/kernel/fs/file_system.h"

#include <doctest/doctest.h>

#include <string>

#include "guest/kernel/fs/symlink.h"
#include "tests/unit/guest/kernel/fs/fake_kernel.h"

namespace shoal::guest {
namespace {

struct Tree {
    FileSystem files{fake::now};

    Result<Place> place(std::string_view path, FollowLast follow = FollowLast::never) {
        return files.walk(files.root(), path, follow);
    }
    void directory(std::string_view path) { REQUIRE(files.ensure_directory(path)); }
    void symlink(std::string_view path, std::string_view target) {
        REQUIRE(files.make_symlink(*place(path), target));
    }
    Errno find_error(std::string_view path) {
        const auto found = files.find(path);
        REQUIRE(!found);
        return found.error();
    }
    Result<void> rename(std::string_view from, std::string_view to,
                        RenameMode mode = RenameMode::replace) {
        return files.rename(*place(from), *place(to), mode);
    }
    std::string path_of(const Entry& entry) {
        std::array<char, 4096> room;
        return std::string{*files.path_of(entry, room)};
    }
};

TEST_CASE("a directory of 50000 names finds, lists and forgets each of them") {
    Tree tree;
    tree.directory("d");
    constexpr int count = 50000;
    for (int i = 0; i < count; ++i) {
        REQUIRE(tree.files.add(*tree.place("d/file" + std::to_string(i)),
                               tree.files.make_inode<Symlink>("x")));
    }
    Directory* directory = (*tree.files.find("d"))->inode().as_directory();
    CHECK(directory->entry_count() == count);
    struct Counter final : DirectoryVisitor {
        Answer visit(const DirectoryItem& item) override {
            if (seen == limit) {
                return Answer::stop;
            }
            CHECK(item.name == "file" + std::to_string(seen));
            ++seen;
            next = item.next_position;
            return Answer::more;
        }
        int seen = 0;
        int limit = 100;
        std::uint64_t next = 0;
    } counter;
    directory->list(0, counter);
    CHECK(counter.seen == 100);
    counter.limit = count;
    // What is removed or added meanwhile does not disturb the rest.
    REQUIRE(tree.files.unlink(*tree.place("d/file50")));
    directory->list(counter.next, counter);
    CHECK(counter.seen == count);
    for (int i = 0; i < count; ++i) {
        if (i != 50) {
            REQUIRE(tree.files.unlink(*tree.place("d/file" + std::to_string(i))));
        }
    }
    CHECK(tree.find_error("d/file77") == Errno::noent);
    CHECK(tree.files.remove_directory(*tree.place("d")));
}

TEST_CASE("paths lead where path_resolution(7) says") {
    Tree tree;
    tree.directory("a/b/c");
    fake::put_file(tree.files, "a/file", "text");
    tree.symlink("a/link", "b/c");
    tree.symlink("a/up", "../a/file");
    tree.symlink("absolute", "/a//b/./c/");
    tree.symlink("root", "/");
    tree.symlink("dangling", "a/new");
    const auto same = [&](std::string_view a, std::string_view b) {
        return (*tree.files.find(a)).get() == (*tree.files.find(b)).get();
    };
    CHECK(same("/", "/../.."));
    CHECK(same("/", "//"));
    CHECK(same("a/link", "a/b/c"));
    CHECK(same("a/link/..", "a/b"));
    CHECK(same("a/up", "a/file"));
    CHECK(same("absolute", "a/b/c"));
    CHECK(same("root/a/b/", "a/b"));
    CHECK(same("root", "/"));
    CHECK(tree.find_error("") == Errno::noent);
    CHECK(tree.find_error("a/file/") == Errno::notdir);
    CHECK(tree.find_error("a/file/.") == Errno::notdir);
    CHECK(tree.find_error("a/file/x") == Errno::notdir);
    CHECK(tree.find_error("a/nothing/x") == Errno::noent);
    CHECK(tree.find_error("a/up/") == Errno::notdir);
    CHECK(tree.find_error("dangling") == Errno::noent);
    CHECK(tree.find_error(std::string(256, 'x')) == Errno::nametoolong);
    CHECK(tree.find_error(std::string(255, 'x')) == Errno::noent);

    SUBCASE("a dangling link says where its file would be") {
        const auto place = tree.place("dangling", FollowLast::yes);
        REQUIRE(place);
        CHECK(!place->entry);
        CHECK(place->name == "new");
        CHECK(tree.path_of(*place->directory) == "/a");
    }
    SUBCASE("a slash follows a last link, but not for calls that make or remove names") {
        CHECK((*tree.files.find(tree.files.root(), "a/link/", FollowLast::no))->name() == "c");
        CHECK((*tree.files.find(tree.files.root(), "a/link", FollowLast::no))->name() == "link");
        CHECK(tree.place("a/link/")->entry->name() == "link");
    }
    SUBCASE("links that lead around are followed 40 times") {
        tree.symlink("self", "self");
        tree.symlink("x", "y/z");
        tree.symlink("y", "x");
        CHECK(tree.find_error("self") == Errno::loop);
        CHECK(tree.find_error("self/more") == Errno::loop);
        CHECK(tree.find_error("x") == Errno::loop);
        std::string last = "a";
        for (int i = 0; i < 41; ++i) {
            const std::string name = "link" + std::to_string(i);
            tree.symlink(name, last + "/.");
            last = name;
        }
        CHECK(same("link39", "a"));
        CHECK(tree.find_error("link40") == Errno::loop);
    }
}

TEST_CASE("names are removed by the call that is for them") {
    Tree tree;
    tree.directory("d/e");
    fake::put_file(tree.files, "f", "x");
    tree.symlink("link", "d");
    const auto unlink = [&](std::string_view path) {
        return tree.files.unlink(*tree.place(path)).error();
    };
    const auto rmdir = [&](std::string_view path) {
        return tree.files.remove_directory(*tree.place(path)).error();
    };
    CHECK(unlink("d") == Errno::isdir);
    CHECK(unlink("d/") == Errno::isdir);
    CHECK(unlink("d/.") == Errno::isdir);
    CHECK(unlink("nothing") == Errno::noent);
    CHECK(unlink("f/") == Errno::notdir);
    CHECK(unlink("link/") == Errno::notdir);
    CHECK(rmdir("d") == Errno::notempty);
    CHECK(rmdir("d/.") == Errno::inval);
    CHECK(rmdir("d/..") == Errno::notempty);
    CHECK(rmdir("/") == Errno::busy);
    CHECK(rmdir("f") == Errno::notdir);
    CHECK(rmdir("link/") == Errno::notdir);
    CHECK(rmdir("d/e/") == Errno{});

    SUBCASE("an open directory that is gone takes no new names") {
        const EntryRef gone = *tree.files.find("d");
        CHECK(rmdir("d") == Errno{});
        const auto place = tree.files.walk(*gone, "new", FollowLast::never);
        CHECK(tree.files.make_directory(*place, 0755).error() == Errno::noent);
        CHECK(tree.path_of(*gone) == "/d (deleted)");
        CHECK((*tree.files.find(*gone, "..")).get() == &tree.files.root());
    }
}

TEST_CASE("hard links count the names of a file") {
    Tree tree;
    const EntryRef file = fake::put_file(tree.files, "f", "x");
    tree.directory("d");
    CHECK(file->inode().attributes.link_count == 1);
    CHECK(tree.files.link(file->inode(), *tree.place("d/g")));
    CHECK(file->inode().attributes.link_count == 2);
    CHECK(tree.files.link(file->inode(), *tree.place("f")).error() == Errno::exist);
    CHECK(tree.files.link(file->inode(), *tree.place("h/")).error() == Errno::noent);
    CHECK(tree.files.link((*tree.files.find("d"))->inode(), *tree.place("h")).error() ==
          Errno::perm);
    CHECK(tree.files.unlink(*tree.place("f")));
    CHECK(fake::content_of(tree.files, "d/g") == "x");
    CHECK(file->inode().attributes.link_count == 1);
    CHECK(tree.files.root().inode().attributes.link_count == 3);
}

TEST_CASE("rename moves, replaces, exchanges and refuses as rename(2) does") {
    Tree tree;
    tree.directory("a/b");
    tree.directory("empty");
    tree.directory("full/x");
    const EntryRef one = fake::put_file(tree.files, "one", "1");
    fake::put_file(tree.files, "two", "2");
    CHECK(tree.rename("one", "a/uno"));
    CHECK(tree.path_of(*one) == "/a/uno");
    CHECK(tree.find_error("one") == Errno::noent);
    CHECK(tree.rename("a/uno", "two"));
    CHECK(fake::content_of(tree.files, "two") == "1");
    CHECK(tree.rename("two", "two"));
    CHECK(tree.rename("nothing", "x").error() == Errno::noent);
    CHECK(tree.rename("a", "a/b/c").error() == Errno::inval);
    CHECK(tree.rename("a", "a/c").error() == Errno::inval);
    CHECK(tree.rename("a/b", "a").error() == Errno::notempty);
    CHECK(tree.rename("two", "empty").error() == Errno::isdir);
    CHECK(tree.rename("empty", "two").error() == Errno::notdir);
    CHECK(tree.rename("a", "full").error() == Errno::notempty);
    CHECK(tree.rename("two", "three/").error() == Errno::notdir);
    CHECK(tree.rename("two/", "three").error() == Errno::notdir);
    CHECK(tree.rename("a/.", "b").error() == Errno::busy);
    CHECK(tree.rename("/", "b").error() == Errno::busy);
    CHECK(tree.rename("two", "full", RenameMode::no_replace).error() == Errno::exist);
    CHECK(tree.rename("two", "b", RenameMode::exchange).error() == Errno::noent);
    CHECK(tree.rename("a", "full/x", RenameMode::exchange));
    CHECK(fake::names_in(tree.files, "/full/x") == "b ");
    CHECK(fake::names_in(tree.files, "/a").empty());
    CHECK(tree.rename("a", "full/x/b", RenameMode::exchange));
    CHECK(tree.rename("full", "full/x", RenameMode::exchange).error() == Errno::inval);
    CHECK(tree.rename("full/x", "full", RenameMode::exchange).error() == Errno::inval);
    CHECK(tree.rename("a", "empty/"));
    // Of the root: itself, its ".", and empty, full.
    CHECK(tree.files.root().inode().attributes.link_count == 4);
}

TEST_CASE("the kernel removes a tree, however deep") {
    Tree tree;
    std::string path = "top";
    for (int i = 0; i < 3000; ++i) {
        path += "/d";
    }
    tree.directory(path);
    fake::put_file(tree.files, "top/file", "x");
    fake::put_file(tree.files, "rest", "x");
    tree.files.remove_tree("/top");
    CHECK(tree.find_error("top") == Errno::noent);
    CHECK(fake::names_in(tree.files, "/") == "rest ");
    tree.files.remove_tree("/top");
    tree.files.remove_tree("/");
    tree.directory(path);  // and the destructor takes apart what is left
}

TEST_CASE("a path that does not fit is not told") {
    Tree tree;
    tree.directory("some/where");
    const EntryRef entry = *tree.files.find("some/where");
    for (std::size_t size = 0; size < 11; ++size) {
        std::string room(size, '?');
        CHECK(tree.files.path_of(*entry, room).error() == Errno::range);
    }
    std::string room(11, '?');
    CHECK(*tree.files.path_of(*entry, room) == "/some/where");
    CHECK(*tree.files.path_of(tree.files.root(), room) == "/");
}

}  // namespace
}  // namespace shoal::guest
