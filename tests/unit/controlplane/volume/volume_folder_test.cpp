#include "controlplane/volume/volume_folder.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::volumes {

namespace fs = std::filesystem;

TEST_CASE("a volume's file is sparse, has its size, and its name says how far it is") {
    const store::test::ScratchFolder scratch;
    const std::string path = scratch.file("volumes");
    const VolumeFolder folder{path};
    folder.prepare("a", 1 << 30);
    CHECK_FALSE(folder.has({"a"}));
    CHECK_THROWS_AS(folder.prepare("a", 1), std::system_error);
    folder.keep("a");
    CHECK(folder.has({"a"}));
    CHECK(fs::file_size(folder.path_of({"a"})) == 1 << 30);
    folder.mark_deleted({"a"});
    CHECK_FALSE(folder.has({"a"}));
    folder.restore({"a"});
    CHECK(folder.has({"a"}));
    folder.mark_deleted({"a"});
    folder.remove({"a"});
    folder.prepare("a", 1);
    folder.drop("a");
    CHECK(fs::is_empty(path));
    CHECK_THROWS_AS(folder.mark_deleted({"a"}), std::system_error);
}

TEST_CASE("a change that was begun is finished or taken back, as the store says; data is kept") {
    const store::test::ScratchFolder scratch;
    const std::string path = scratch.file("volumes");
    const VolumeFolder folder{path};
    for (const char* name :
         {"created.new", "refused.new",    "gone.deleted", "kept.deleted", "whole.raw",
          "foreign.raw", "foreign@2.raw",  "other",        "taken.raw",    "taken@1.raw",
          "taken@2.raw", "taken@3.raw",    "taken@3.copy", "left.raw",     "left@1.raw",
          "back.raw",    "back@4.deleted", "old@02.raw",   "namesake.raw", "@1.raw"}) {
        std::ofstream{path + "/" + name} << name;
    }
    std::ofstream{path + "/twice.raw"} << "data";
    std::ofstream{path + "/twice.new"} << "";
    const auto files = [&path] {
        std::set<std::string> names;
        for (const auto& entry : fs::directory_iterator{path}) {
            names.insert(entry.path().filename());
        }
        return names;
    };
    for (int round = 0; round < 2; ++round) {
        folder.reconcile({{"created", {0, true}},
                          {"kept", {0, true}},
                          {"whole", {0, true}},
                          {"twice", {0, true}},
                          {"taken", {2, true}},
                          {"left", {1, false}},
                          {"back", {4, true}},
                          {"namesake", {0, false}}});
        // What is elsewhere and was never taken over is somebody's data.
        CHECK(files() == std::set<std::string>{"created.raw", "kept.raw", "whole.raw",
                                               "foreign.raw", "foreign@2.raw", "other", "twice.raw",
                                               "taken@2.raw", "back@4.raw", "old@02.raw",
                                               "namesake.raw", "@1.raw"});
        CHECK(fs::file_size(path + "/twice.raw") == 4);
    }
}

TEST_CASE("hosts that share a folder touch nothing that another one has begun") {
    const store::test::ScratchFolder scratch;
    const std::string path = scratch.file("shared");
    CHECK_THROWS_AS((VolumeFolder{path, "h1"}), std::system_error);
    fs::create_directory(path);
    const VolumeFolder one{path, "h1"};
    const VolumeFolder two{path, "h2"};
    CHECK(fs::is_empty(path));
    one.prepare("a", 1 << 20);
    two.prepare("b", 1 << 20);
    one.prepare("c", 1 << 20);
    one.keep("c");
    two.mark_deleted({"c"});
    const auto has = [&path](const char* name) { return fs::exists(path + "/" + name); };
    // Neither is in the store: what was begun here is taken back.
    one.reconcile({});
    CHECK_FALSE(has("a.h1.new"));
    CHECK(has("b.h2.new"));
    CHECK(has("c.h2.deleted"));
    two.reconcile({{"b", {0, true}}, {"c", {0, false}}});
    CHECK(one.has({"b"}));
    CHECK_FALSE(one.has({"c"}));
    one.reconcile({{"b", {0, false}}});
    CHECK(two.has({"b"}));
    CHECK_FALSE(has("c.h2.deleted"));
}

TEST_CASE("what others have taken over is deleted; what is taken over here now is not touched") {
    const store::test::ScratchFolder scratch;
    const std::string path = scratch.file("volumes");
    const VolumeFolder folder{path};
    const auto make = [&](std::uint64_t takeovers) {
        std::ofstream{folder.copy_of({"a", takeovers})} << "data and a mark";
        folder.install({"a", takeovers}, 4);
        CHECK(fs::file_size(folder.path_of({"a", takeovers})) == 4);
    };
    for (const std::uint64_t takeovers : {0U, 1U, 2U, 3U}) {
        make(takeovers);
    }
    std::ofstream{path + "/ab.raw"} << "another";
    folder.delete_stale("a", {1, true});
    CHECK_FALSE(folder.has({"a", 0}));
    CHECK(folder.has({"a", 1}));
    folder.delete_stale("a", {2, false});
    CHECK_FALSE(folder.has({"a", 1}));
    CHECK_FALSE(folder.has({"a", 2}));
    CHECK(folder.has({"a", 3}));
    make(3);
    CHECK(folder.has({"ab", 0}));
    CHECK_THROWS_AS(folder.install({"a", 5}, 4), std::system_error);
}

}  // namespace shoal::volumes
