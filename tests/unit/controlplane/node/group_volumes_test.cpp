// Volumes of a group's members on a real disk, in a store that a test changes in between.
#include "controlplane/node/group_volumes.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/provisions.h"
#include "controlplane/store/memory_store.h"
#include "tests/unit/controlplane/store/event_loop_runner.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::node::test {

namespace {

namespace fs = std::filesystem;
namespace keys = model::keys;

// Host "here", on which member "g-0" of group "g" is placed, which wants a volume "data" for each.
class World {
public:
    World() {
        put_group(1);
        place("g-0");
        bool is_ready = false;
        mirror.start([&](const store::Result<Revision>&) { is_ready = true; });
        runner.run_until([&] { return is_ready; });
        mirror.add_listener(volumes);
        is_watching = true;
    }
    ~World() { mirror.remove_listener(volumes); }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    void commit(store::Transaction transaction) {
        const auto revision = runner.await<Revision>(
            [&](auto handler) { store.commit(std::move(transaction), std::move(handler)); });
        runner.run_until([&] { return !is_watching || mirror.revision() >= *revision; });
    }
    void put(const std::string& key, const std::string& value) {
        commit({{}, {store::Put{key, value}}});
    }
    static model::Group group(std::uint64_t count) {
        model::Group group;
        group.name = "g";
        group.count = count;
        group.microvm.program = "/bin/true";
        group.volumes = {{"data", 1}};
        return group;
    }
    void put_group(std::uint64_t count) {
        put(keys::of(keys::groups, "g"), model::to_json(group(count)));
    }
    void delete_group() { commit({{}, {store::Delete{keys::of(keys::groups, "g")}}}); }
    void place(const std::string& name, const std::string& host = "here") {
        put(keys::of(keys::microvms, name), model::to_json(model::member_of(group(1), name)));
        put(keys::of(keys::placements, name), model::to_json(model::Placement{host, 1}));
    }
    void forget(const std::string& name) {
        commit({{},
                {store::Delete{keys::of(keys::microvms, name)},
                 store::Delete{keys::of(keys::placements, name)}}});
    }
    void put_volume(const model::Volume& volume) {
        put(keys::of(keys::volumes, volume.name), model::to_json(volume));
    }
    // Until it may start: empty; or a reason other than that a volume is being made. `meanwhile`:
    // after the first call.
    std::string start(const std::string& name, const std::function<void()>& meanwhile = {}) {
        bool is_done = false;
        bool is_first = true;
        std::string failure;
        runner.run_until([&] {
            try {
                volumes.expect(*mirror.find(name));
                is_done = true;
            } catch (const NotYet& reason) {
                const std::string text = reason.what();
                failure = text.ends_with("is being made") ? "" : text;
            }
            if (std::exchange(is_first, false) && meanwhile) {
                meanwhile();
            }
            return is_done || !failure.empty();
        });
        return failure;
    }
    [[nodiscard]] std::string path(const std::string& name) const {
        return volume_folders.own().path_of({name});
    }
    [[nodiscard]] bool has_record(const std::string& name) const {
        return mirror.objects().volumes.contains(name);
    }
    void run_until_gone(const std::string& name) {
        runner.run_until([&] { return !has_record(name) && !changes.is_changing(name); });
    }

    store::test::ScratchFolder scratch;
    store::test::EventLoopRunner runner;
    store::MemoryStore store{runner.loop()};
    Mirror mirror{runner.loop(), store};
    volumes::VolumeFolders volume_folders{volumes::VolumeFolder{scratch.file("volumes")}};
    boost::asio::thread_pool workers{1};
    VolumeChanges changes{{runner.context(), workers, store, mirror, volume_folders}};
    GroupVolumes volumes{runner.loop(), mirror, changes, "here"};
    bool is_watching = false;
};

}  // namespace

TEST_CASE(
    "a member's volume is made once, kept for the next of its name, and goes with the group") {
    World world;
    CHECK(world.start("g-0").empty());
    REQUIRE(world.has_record("g-0-data"));
    const model::Volume volume = world.mirror.objects().volumes.at("g-0-data").body;
    CHECK(volume.host == "here");
    CHECK(volume.size_mib == 1);
    CHECK(volume.group == "g");
    CHECK(fs::file_size(world.path("g-0-data")) == 1 << 20);
    std::ofstream{world.path("g-0-data"), std::ios::in} << "kept";

    world.forget("g-0");
    world.put_group(0);
    world.put_group(1);
    world.place("g-0");
    CHECK(world.start("g-0").empty());
    std::string word(4, ' ');
    std::ifstream{world.path("g-0-data")}.read(word.data(), 4);
    CHECK(word == "kept");

    world.delete_group();
    CHECK(world.has_record("g-0-data"));  // The member is there yet.
    world.forget("g-0");
    world.run_until_gone("g-0-data");
    CHECK_FALSE(fs::exists(world.path("g-0-data")));
}

TEST_CASE("a group that comes back under its name does not get what the one before had") {
    World world;
    CHECK(world.start("g-0").empty());
    const auto before = world.mirror.objects().volumes.at("g-0-data").body.group_created;
    world.delete_group();
    world.put_group(1);
    CHECK(world.start("g-0") == "volume g-0-data is of another group g");
    world.forget("g-0");
    world.run_until_gone("g-0-data");
    world.place("g-0");
    CHECK(world.start("g-0").empty());
    CHECK(world.mirror.objects().volumes.at("g-0-data").body.group_created > before);
}

TEST_CASE("a volume is not made under a placement that is over") {
    World world;
    bool was_absent = false;
    CHECK(world
              .start("g-0",
                     [&] {
                         was_absent = !world.has_record("g-0-data");
                         world.store.put({keys::of(keys::placements, "g-0"),
                                          model::to_json(model::Placement{"here", 2})},
                                         [](const store::Result<Revision>&) {});
                     })
              .empty());
    CHECK(was_absent);
    // The try under the first placement was taken back, and another one made it.
    CHECK(world.mirror.objects().volumes.at("g-0-data").revision >
          world.mirror.find("g-0")->placement_revision);
    CHECK(fs::exists(world.path("g-0-data")));
}

TEST_CASE("a volume that users have made is taken, and stays theirs; another group's is not") {
    World world;
    world.put_volume({.name = "g-0-data", .size_mib = 2, .host = "here"});
    CHECK(world.start("g-0").empty());
    world.forget("g-0");
    world.delete_group();
    CHECK(world.has_record("g-0-data"));

    world.put_group(1);
    world.put_volume(
        {.name = "g-0-data", .size_mib = 2, .host = "here", .group = "g-0", .group_created = 1});
    world.place("g-0");
    CHECK(world.start("g-0") == "volume g-0-data is of another group g-0");
}

TEST_CASE("volumes on a storage are made there, and deleted by one host once theirs is no more") {
    World world;
    model::Group group = World::group(1);
    group.volumes[0].storage = "shared";
    world.put(keys::of(keys::groups, "g"), model::to_json(group));
    CHECK(world.start("g-0") ==
          "volume g-0-data cannot be made: this host does not reach storage shared");
    const std::string path = world.scratch.file("shared");
    fs::create_directory(path);
    world.volume_folders.add_storage("shared", volumes::VolumeFolder{path, "here"});
    CHECK(world.start("g-0").empty());
    CHECK(fs::exists(path + "/g-0-data.raw"));
    CHECK_FALSE(fs::exists(world.path("g-0-data")));
    model::Volume volume = world.mirror.objects().volumes.at("g-0-data").body;
    CHECK(volume.storage == "shared");

    // Another host has attached it since, and is to delete it as long as it is one of the
    // cluster's.
    model::Host other;
    other.name = "other";
    world.put(keys::of(keys::hosts, "other"), model::to_json(other));
    volume.host = "other";
    world.put_volume(volume);
    world.delete_group();
    world.forget("g-0");
    world.runner.run_until([&] { return world.mirror.find("g-0") == nullptr; });
    CHECK(world.has_record("g-0-data"));
    world.commit({{}, {store::Delete{keys::of(keys::hosts, "other")}}});
    world.run_until_gone("g-0-data");
    CHECK(fs::is_empty(path));
}

TEST_CASE("a volume that is not where its group wants it is not taken") {
    World world;
    world.put_volume({.name = "g-0-data", .size_mib = 2, .host = "here", .storage = "shared"});
    CHECK(world.start("g-0") == "volume g-0-data is not on the storage that its group says");
}

TEST_CASE("somebody's file of that name is not overwritten, and a full disk is said") {
    World world;
    std::ofstream{world.path("g-0-data")} << "somebody's";
    CHECK(world.start("g-0").find("move it away") != std::string::npos);
    fs::remove(world.path("g-0-data"));
    fs::remove_all(world.scratch.file("volumes"));
    CHECK(world.start("g-0").starts_with("volume g-0-data cannot be made: "));
    fs::create_directory(world.scratch.file("volumes"));
    CHECK(world.start("g-0").empty());
}

TEST_CASE("what a group left is deleted when shoald starts, and not while somebody has it") {
    World world;
    std::ofstream{world.path("old-0-data")} << "x";
    std::ofstream{world.path("old-1-data")} << "x";
    for (const char* name : {"old-0-data", "old-1-data", "old-2-data"}) {
        world.put_volume({.name = name,
                          .size_mib = 1,
                          .host = name == std::string{"old-2-data"} ? "elsewhere" : "here",
                          .group = "old",
                          .group_created = 1});
    }
    model::MicroVmSpec spec;
    spec.name = "rescue";
    spec.program = "/bin/true";
    spec.volumes = {"old-1-data"};
    world.put(keys::of(keys::microvms, "rescue"), model::to_json(spec));
    world.volumes.start();
    world.run_until_gone("old-0-data");
    CHECK(world.has_record("old-1-data"));
    CHECK(world.has_record("old-2-data"));
    world.commit({{}, {store::Delete{keys::of(keys::microvms, "rescue")}}});
    world.run_until_gone("old-1-data");
    CHECK_FALSE(fs::exists(world.path("old-1-data")));
    CHECK(world.has_record("old-2-data"));
}

}  // namespace shoal::node::test
