// Folders alone: what runs in them is the system tests'.
#include "controlplane/node/process/supervised_runner.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::node::test {

namespace fs = std::filesystem;

namespace {

struct Rig {
    [[nodiscard]] RunnerSettings settings() const {
        RunnerSettings settings;
        settings.folder = scratch.file("microvms");
        settings.supervisor = "/no/such/supervisor";
        settings.cgroup_mount = scratch.file("no-cgroups");
        settings.cgroup_parent = "shoal-test";
        settings.save_folder = scratch.file("saves");
        settings.tls_folder = "/tls";
        return settings;
    }

    store::test::ScratchFolder scratch;
    boost::asio::io_context context;
    Attempt attempt{"a", 7, 0};
    std::string name = to_folder_name(attempt);
};

}  // namespace

TEST_CASE("a VMM opens its run folder, where it saves, and what it shows others, if it has those") {
    const Rig rig;
    Rig other;
    const RunnerSettings settings = rig.settings();
    const SupervisedRunner runner{other.context, settings};
    CHECK(runner.allowed_of(rig.attempt) ==
          std::vector<std::string>{settings.folder + "/" + rig.name,
                                   settings.save_folder + "/" + rig.name, "/tls,ro"});
    RunnerSettings alone = other.settings();
    alone.save_folder = {};
    alone.tls_folder = {};
    CHECK(SupervisedRunner{other.context, alone}.allowed_of(rig.attempt) ==
          std::vector<std::string>{alone.folder + "/" + rig.name});
}

TEST_CASE("save folders of what is there stay the same ones, emptied, and go with it; others go") {
    Rig rig;
    const RunnerSettings settings = rig.settings();
    const fs::path saves = settings.save_folder;
    const fs::path ours = saves / rig.name;
    fs::create_directories(fs::path{settings.folder} / rig.name);
    fs::create_directories(ours / ".partial-x");
    std::ofstream{ours / ".partial-x" / "memory"} << "unfinished";
    fs::create_directories(saves / to_folder_name({"b", 7, 0}) / ".partial-y");
    SupervisedRunner runner{rig.context, settings};
    CHECK(runner.save_folder_of(rig.attempt) == ours);
    CHECK(fs::is_directory(ours));
    CHECK(fs::is_empty(ours));
    CHECK(std::distance(fs::directory_iterator{saves}, {}) == 1);
    runner.discard(rig.attempt);  // which nobody has ever started
    CHECK(fs::is_empty(saves));
    CHECK(fs::is_empty(settings.folder));
}

TEST_CASE("what cannot be started leaves no folders") {
    Rig rig;
    const RunnerSettings settings = rig.settings();
    SupervisedRunner runner{rig.context, settings};
    Launch launch;
    launch.attempt = rig.attempt;
    CHECK_THROWS_AS(runner.start(launch), std::system_error);
    CHECK(fs::is_empty(settings.save_folder));
    CHECK(fs::is_empty(settings.folder));
}

}  // namespace shoal::node::test
