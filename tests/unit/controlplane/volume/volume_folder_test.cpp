#include "controlplane/volume/volume_folder.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <system_error>

#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::volumes {

namespace fs = std::filesystem;

TEST_CASE("a volume's file is sparse, has its size, and its name says how far it is") {
    const store::test::ScratchFolder scratch;
    const std::string path = scratch.file("volumes");
    const VolumeFolder folder{path};
    folder.prepare("a", 1 << 30);
    CHECK_FALSE(folder.has("a"));
    CHECK_THROWS_AS(folder.prepare("a", 1), std::system_error);
    folder.keep("a");
    CHECK(folder.has("a"));
    CHECK(fs::file_size(folder.path_of("a")) == 1 << 30);
    folder.mark_deleted("a");
    CHECK_FALSE(folder.has("a"));
    folder.restore("a");
    CHECK(folder.has("a"));
    folder.mark_deleted("a");
    folder.remove("a");
    folder.prepare("a", 1);
    folder.drop("a");
    CHECK(fs::is_empty(path));
    CHECK_THROWS_AS(folder.mark_deleted("a"), std::system_error);
}

TEST_CASE("a change that was begun is finished or taken back, as the store says; data is kept") {
    const store::test::ScratchFolder scratch;
    const std::string path = scratch.file("volumes");
    const VolumeFolder folder{path};
    for (const char* name : {"created.new", "refused.new", "gone.deleted", "kept.deleted",
                             "whole.raw", "foreign.raw", "other"}) {
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
        folder.reconcile({"created", "kept", "whole", "twice"});
        CHECK(files() == std::set<std::string>{"created.raw", "kept.raw", "whole.raw",
                                               "foreign.raw", "other", "twice.raw"});
        CHECK(fs::file_size(path + "/twice.raw") == 4);
    }
}

}  // namespace shoal::volumes
