// What `shoal run` packs: the program, its words and the files of --root.
#include "controlplane/cli/initramfs.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "controlplane/cli/cli_error.h"
#include "tests/unit/controlplane/cli/cpio_reader.h"

namespace shoal::cli {
namespace {

constexpr std::uint64_t limit_bytes = 1 << 20;

class Folder {
public:
    Folder() { REQUIRE(::mkdtemp(path_.data()) != nullptr); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }

    [[nodiscard]] std::string path(const std::string& name = "") const {
        return name.empty() ? path_ : path_ + "/" + name;
    }
    void write(const std::string& name, const std::string& contents) const {
        std::filesystem::create_directories(std::filesystem::path{path(name)}.parent_path());
        std::ofstream{path(name)} << contents;
    }
    [[nodiscard]] int open() const {
        return ::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    }

private:
    std::string path_ = "/tmp/shoal-unit-XXXXXX";
};

const CpioEntry* find(const std::vector<CpioEntry>& entries, const std::string& name) {
    for (const CpioEntry& entry : entries) {
        if (entry.name == name) {
            return &entry;
        }
    }
    return nullptr;
}

std::vector<CpioEntry> pack(const Program& program, const std::string& root,
                            std::uint64_t limit = limit_bytes) {
    const std::vector<std::string> args{"prog", "", "two words"};
    const std::vector<std::string> env{"A=B"};
    return read_cpio(read_whole(make_initramfs({&program, root, args, env, limit}).get()));
}

Program program_at(const std::string& guest_path, const Folder& files) {
    return {guest_path, host::UniqueFd{::open(files.path("prog").c_str(), O_RDONLY | O_CLOEXEC)},
            ProgramOrigin::host};
}

TEST_CASE("without --root there are the program, its folders and its words") {
    const Folder files;
    files.write("prog", "PROGRAM");
    const auto entries = pack(program_at("/usr/local/prog", files), "");
    REQUIRE(entries.size() == 7);
    CHECK(entries[0].name == ".");
    CHECK(find(entries, ".shoal/args")->data == std::string{"prog\0\0two words\0", 16});
    CHECK(find(entries, ".shoal/env")->data == std::string{"A=B\0", 4});
    CHECK(find(entries, "usr")->mode() == (S_IFDIR | 0755));
    CHECK(find(entries, "usr/local")->mode() == (S_IFDIR | 0755));
    CHECK(find(entries, "usr/local/prog")->data == "PROGRAM");
}

TEST_CASE("--root is copied with its folders and links, parents first, and the program added") {
    const Folder files;
    const Folder root;
    files.write("prog", "PROGRAM");
    root.write("usr/bin/data", std::string(5'000, 'x'));
    std::filesystem::create_symlink("usr/bin", root.path("bin"));
    std::filesystem::create_symlink("/nowhere", root.path("dangling"));
    REQUIRE(::mkfifo(root.path("pipe").c_str(), 0600) == 0);
    REQUIRE(::chmod(root.path("usr").c_str(), 0700) == 0);

    const auto entries = pack(program_at("/bin/sub/prog", files), root.path());
    CHECK(find(entries, "bin")->data == "usr/bin");
    CHECK(find(entries, "dangling")->data == "/nowhere");
    CHECK(find(entries, "pipe") == nullptr);
    CHECK(find(entries, "usr")->mode() == (S_IFDIR | 0700));
    CHECK(find(entries, "usr/bin/data")->data == std::string(5'000, 'x'));
    // Through the link, since /bin cannot be a folder as well.
    CHECK(find(entries, "bin/sub/prog") == nullptr);
    CHECK(find(entries, "usr/bin/sub/prog")->data == "PROGRAM");
    CHECK(find(entries, "usr") < find(entries, "usr/bin"));
    CHECK(find(entries, "usr/bin") < find(entries, "usr/bin/data"));
}

TEST_CASE("the program is not put where a link leads out of --root") {
    const Folder files;
    const Folder root;
    files.write("prog", "PROGRAM");
    std::filesystem::create_symlink("/usr", root.path("out"));
    CHECK_THROWS_AS(pack(program_at("/out/prog", files), root.path()), CliError);
}

TEST_CASE("more than the microVM's memory is refused") {
    const Folder files;
    const Folder root;
    files.write("prog", "PROGRAM");
    root.write("data", std::string(20'000, 'x'));
    CHECK_THROWS_AS(pack(program_at("/prog", files), root.path(), 16'384), CliError);
    CHECK_THROWS_AS(pack(program_at("/prog", files), "", 200), CliError);
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
