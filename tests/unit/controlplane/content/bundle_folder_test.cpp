#include "controlplane/content/bundle_folder.h"

#include <doctest/doctest.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "controlplane/template/template_folder.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::content {

namespace {

namespace fs = std::filesystem;

void write(const std::string& path, const std::string& text) {
    std::ofstream{path, std::ios::binary} << text;
}

void fill(const std::string& folder, const std::string& state, const std::string& memory) {
    fs::create_directories(folder);
    write(folder + "/state", state);
    write(folder + "/memory", memory);
}

}  // namespace

TEST_CASE("a template's digest says which bytes are in which file") {
    const store::test::ScratchFolder scratch;
    const std::string root = scratch.file("root");
    fill(root + "/a", "state", "memory");
    const std::string digest = digest_of(templates::bundle_kind, root + "/a");
    CHECK(digest.size() == 64);
    CHECK(digest == digest_of(templates::bundle_kind, root + "/a"));
    const auto differs = [&](const std::string& state, const std::string& memory) {
        fill(root + "/b", state, memory);
        return digest_of(templates::bundle_kind, root + "/b") != digest;
    };
    CHECK_FALSE(differs("state", "memory"));
    CHECK(differs("state", "memorx"));
    CHECK(differs("statem", "emory"));
    CHECK(differs("state", std::string{"memory\0", 7}));
    CHECK(differs("memory", "state"));
    SUBCASE("a file that is absent or is a link is refused") {
        fs::remove(root + "/b/memory");
        CHECK_THROWS(static_cast<void>(digest_of(templates::bundle_kind, root + "/b")));
        fs::create_symlink(root + "/a/memory", root + "/b/memory");
        CHECK_THROWS(static_cast<void>(digest_of(templates::bundle_kind, root + "/b")));
    }
}

TEST_CASE("a template gets its place whole, once, and goes when nobody has it") {
    const store::test::ScratchFolder scratch;
    const BundleFolder folder{templates::bundle_kind, scratch.file("templates")};
    const auto adopt = [&](const std::string& memory) {
        const std::string partial = folder.make_partial();
        fill(partial, "s", memory);
        return folder.adopt(partial);
    };
    const std::string first = adopt("1");
    CHECK(adopt("1") == first);
    const std::string second = adopt("2");
    CHECK(second != first);
    const std::string unfinished = folder.make_partial();
    folder.keep_only({second});
    CHECK_FALSE(fs::exists(folder.path_of(first)));
    CHECK(digest_of(templates::bundle_kind, folder.path_of(second)) == second);
    CHECK(fs::exists(unfinished));
    const BundleFolder again{templates::bundle_kind, scratch.file("templates")};
    CHECK_FALSE(fs::exists(unfinished));
    CHECK(fs::exists(folder.path_of(second)));
}

TEST_CASE("a bundle of one file has that file's digest") {
    const store::test::ScratchFolder scratch;
    constexpr std::array<const char*, 1> names{"only"};
    const BundleFolder folder{{"thing", names}, scratch.file("things")};
    const std::string partial = folder.make_partial();
    write(partial + "/only", "abc");
    const std::string digest = folder.adopt(partial);
    // FIPS 180-2, B.1
    CHECK(digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(folder.has(digest));
}

}  // namespace shoal::content
