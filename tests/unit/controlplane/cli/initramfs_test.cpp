// What `shoal run` packs: the program, its words and the files of --root.
#include "controlplane/cli/initramfs.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/program.h"
#include "tests/unit/controlplane/cli/cpio_reader.h"
#include "tests/unit/controlplane/cli/folder.h"

namespace shoal::cli {
namespace {

constexpr std::uint64_t limit_bytes = 1 << 20;

const CpioEntry* find(const std::vector<CpioEntry>& entries, const std::string& name) {
    for (const CpioEntry& entry : entries) {
        if (entry.name == name) {
            return &entry;
        }
    }
    return nullptr;
}

std::vector<CpioEntry> pack(const RootTree& tree, const std::string& root,
                            std::uint64_t limit = limit_bytes) {
    const std::vector<std::string> args{"prog", "", "two words"};
    const std::vector<std::string> env{"A=B"};
    return read_cpio(read_whole(make_initramfs({root, &tree, args, env, "", limit}).archive.get()));
}

TEST_CASE("without --root there are the program, its folders and its words") {
    const Folder files;
    files.write("prog", "PROGRAM");
    REQUIRE(::chmod(files.path().c_str(), 0755) == 0);
    RootTree tree{-1};
    REQUIRE(tree.add(files.path("prog")));
    const auto entries = pack(tree, "");
    REQUIRE(entries.size() == 7);
    CHECK(entries[0].name == ".");
    CHECK(find(entries, ".shoal/args")->data == std::string{"prog\0\0two words\0", 16});
    CHECK(find(entries, ".shoal/env")->data == std::string{"A=B\0", 4});
    CHECK(find(entries, "tmp")->mode() == (S_IFDIR | 01777));
    CHECK(find(entries, files.path().substr(1))->mode() == (S_IFDIR | 0755));
    CHECK(find(entries, files.path("prog").substr(1))->data == "PROGRAM");
}

TEST_CASE("--root is copied with its folders and links, parents first, and files added") {
    const Folder files;
    const Folder root;
    files.write("prog", "PROGRAM");
    root.write("usr/bin/data", std::string(5'000, 'x'));
    std::filesystem::create_symlink("usr/bin", root.path("bin"));
    std::filesystem::create_symlink("/nowhere", root.path("dangling"));
    REQUIRE(::mkfifo(root.path("pipe").c_str(), 0600) == 0);
    REQUIRE(::chmod(root.path("usr").c_str(), 0700) == 0);
    const host::UniqueFd root_fd{root.open()};
    RootTree tree{root_fd.get()};
    REQUIRE(tree.add(files.path("prog")));
    REQUIRE(tree.add("/bin/data"));

    const auto entries = pack(tree, root.path());
    CHECK(find(entries, "bin")->data == "usr/bin");
    CHECK(find(entries, "dangling")->data == "/nowhere");
    CHECK(find(entries, "pipe") == nullptr);
    CHECK(find(entries, "usr")->mode() == (S_IFDIR | 0700));
    CHECK(find(entries, "usr/bin/data")->data == std::string(5'000, 'x'));
    CHECK(find(entries, "bin/data") == nullptr);
    CHECK(find(entries, files.path("prog").substr(1))->data == "PROGRAM");
    CHECK(find(entries, "usr") < find(entries, "usr/bin"));
    CHECK(find(entries, "usr/bin") < find(entries, "usr/bin/data"));
}

TEST_CASE("more than the microVM's memory is refused") {
    const Folder files;
    const Folder root;
    files.write("prog", "PROGRAM");
    root.write("data", std::string(20'000, 'x'));
    RootTree tree{-1};
    REQUIRE(tree.add(files.path("prog")));
    CHECK_THROWS_AS(pack(tree, root.path(), 16'384), CliError);
    CHECK_THROWS_AS(pack(tree, "", 200), CliError);
}

TEST_CASE("programs are found by path and by name, under --root first") {
    const Folder root;
    root.write("usr/bin/tool", "TOOL");
    root.write("usr/bin/plain", "PLAIN");
    REQUIRE(::chmod(root.path("usr/bin/tool").c_str(), 0755) == 0);
    std::filesystem::create_symlink("/usr/bin", root.path("bin"));
    const host::UniqueFd root_fd{root.open()};

    SUBCASE("by a path under --root, through a link that would lead out of it") {
        const Program program = find_program("/bin/tool", root_fd.get());
        CHECK(program.origin == ProgramOrigin::root);
        CHECK(program.guest_path == "/bin/tool");
        CHECK(read_whole(program.file.get()) == "TOOL");
    }
    SUBCASE("by a name under --root") {
        CHECK(find_program("tool", root_fd.get()).guest_path == "/usr/bin/tool");
    }
    SUBCASE("by a path on the host") {
        const Program program = find_program(root.path("usr//./bin/tool"), -1);
        CHECK(program.origin == ProgramOrigin::host);
        CHECK(program.guest_path == root.path("usr/bin/tool"));
    }
    SUBCASE("not at all") {
        const auto code = [&](const std::string& name) {
            try {
                find_program(name, root_fd.get());
            } catch (const CliError& error) {
                return error.exit_code();
            }
            return ExitCode::failed;
        };
        CHECK(code("/bin/no-such-tool") == ExitCode::not_found);
        CHECK(code("no-such-tool") == ExitCode::not_found);
        CHECK(code("/bin/tool/below") == ExitCode::not_found);
        CHECK(code("plain") == ExitCode::not_found);
        CHECK(code("/bin/plain") == ExitCode::not_executable);
        CHECK(code("/usr/bin") == ExitCode::not_executable);
        CHECK(code("") == ExitCode::not_found);
    }
}

}  // namespace
}  // namespace shoal::cli
