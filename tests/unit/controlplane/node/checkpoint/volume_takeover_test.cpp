// Takeovers on a real disk, in a store that a test changes in between.
#include "controlplane/node/checkpoint/volume_takeover.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

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
using checkpoints::CheckpointFolder;
using checkpoints::CheckpointId;

constexpr std::uint64_t volume_bytes = 1 << 20;

void write(const std::string& path, const std::string& text) {
    std::ofstream{path, std::ios::binary} << text;
}

std::string read(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

// Host "here", on which "a" is placed, whose volumes "v" and "w" were lost with host "lost".
class World {
public:
    World() {
        model::MicroVmSpec spec;
        spec.name = "a";
        spec.program = "/bin/true";
        spec.on_host_failure = model::HostFailurePolicy::restore;
        spec.volumes = {"v", "w"};
        put(keys::of(keys::microvms, "a"), model::to_json(spec));
        for (const char* volume : {"v", "w"}) {
            put_volume(volume, "lost", 0);
        }
        record(id.generation);
        place("here");
        save(std::string(volume_bytes, 'v') + "mark", std::string(volume_bytes, 'w') + "mark");
        bool is_ready = false;
        mirror.start([&](const store::Result<Revision>&) { is_ready = true; });
        runner.run_until([&] { return is_ready; });
        mirror.add_listener(takeover);
        is_watching = true;
    }
    ~World() { mirror.remove_listener(takeover); }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    void put(const std::string& key, const std::string& value) {
        const auto revision = runner.await<Revision>([&](auto handler) {
            store.put({key, value}, std::move(handler));
        });
        runner.run_until([&] { return !is_watching || mirror.revision() >= *revision; });
    }
    void put_volume(const std::string& name, const std::string& host, std::uint64_t takeovers) {
        put(keys::of(keys::volumes, name),
            model::to_json(model::Volume{name, volume_bytes >> 20, host, takeovers}));
    }
    void record(std::uint64_t generation) {
        model::Checkpoint checkpoint;
        checkpoint.placement = id.placement;
        checkpoint.generation = generation;
        checkpoint.hosts = {"here"};
        put(keys::of(keys::checkpoints, "a"), model::to_json(checkpoint));
    }
    void place(const std::string& host) {
        put(keys::of(keys::placements, "a"), model::to_json(model::Placement{host, 1}));
    }
    void save(const std::string& v, const std::string& w) {
        const std::string partial = checkpoint_folder.make_partial();
        write(CheckpointFolder::state_in(partial), "state");
        write(CheckpointFolder::memory_in(partial), "memory");
        write(CheckpointFolder::drive_in(partial, 0), v);
        write(CheckpointFolder::drive_in(partial, 1), w);
        static_cast<void>(CheckpointFolder::pack(partial, CheckpointFolder::pack_in(partial)));
        checkpoint_folder.install(partial, id, {}, 2);
    }
    // Until it may start, or another reason than that it goes on. `meanwhile`: after the first
    // call.
    std::vector<std::string> start(const std::function<void()>& meanwhile = {}) {
        std::optional<std::vector<std::string>> paths;
        failure.clear();
        bool is_first = true;
        runner.run_until([&] {
            try {
                paths = takeover.expect(*mirror.find("a"), id);
            } catch (const NotYet& reason) {
                const std::string text = reason.what();
                failure = text == "its volumes are being taken over" ? "" : text;
            }
            if (std::exchange(is_first, false) && meanwhile) {
                meanwhile();
            }
            return paths || !failure.empty();
        });
        return paths.value_or(std::vector<std::string>{});
    }
    [[nodiscard]] const model::Volume& volume(const std::string& name) const {
        return mirror.objects().volumes.at(name).body;
    }

    static inline const CheckpointId id{"a", 7, 3};
    store::test::ScratchFolder scratch;
    store::test::EventLoopRunner runner;
    store::MemoryStore store{runner.loop()};
    Mirror mirror{runner.loop(), store};
    CheckpointFolder checkpoint_folder{scratch.file("checkpoints"), ""};
    volumes::VolumeFolder volume_folder{scratch.file("volumes")};
    boost::asio::thread_pool workers{1};
    VolumeTakeover takeover{
        {runner.context(), workers, store, mirror, checkpoint_folder, volume_folder}, "here"};
    bool is_watching = false;
    std::string failure;
};

}  // namespace

TEST_CASE("volumes become what the checkpoint has of them, for each start anew") {
    World world;
    const auto paths = world.start();
    CHECK(paths == std::vector<std::string>{world.volume_folder.path_of({"v", 1}),
                                            world.volume_folder.path_of({"w", 1})});
    CHECK(read(paths.at(0)) == std::string(volume_bytes, 'v'));
    CHECK(read(paths.at(1)) == std::string(volume_bytes, 'w'));
    CHECK(world.volume("v").host == "here");
    CHECK(world.volume("w").takeovers == 1);
    // Its guest has written, and it did not come to run.
    write(paths.at(0), "written");
    const auto again = world.start();
    CHECK(again.at(0) == world.volume_folder.path_of({"v", 2}));
    CHECK(read(again.at(0)) == std::string(volume_bytes, 'v'));
    world.runner.run_until([&] { return !world.volume_folder.has({"v", 1}); });
    CHECK_NOTHROW(world.checkpoint_folder.expect_sound(World::id));
}

TEST_CASE("whoever has lost the microVM takes no volume over") {
    World world;
    std::function<void()> meanwhile;
    SUBCASE("it was placed anew") {
        meanwhile = [&] { world.place("here"); };
    }
    SUBCASE("its checkpoint is another one") {
        meanwhile = [&] { world.record(4); };
    }
    SUBCASE("one of its volumes is another host's by now") {
        meanwhile = [&] { world.put_volume("w", "other", 1); };
    }
    CHECK(world.start(meanwhile).empty());
    CHECK(world.failure.starts_with("its volumes cannot be taken over: "));
    CHECK(world.volume("v").host == "lost");
    CHECK(world.volume("v").takeovers == 0);
    CHECK(world.volume("w").host != "here");
}

TEST_CASE("a checkpoint without the volumes changes nothing") {
    World world;
    std::string reason;
    SUBCASE("one is not there") {
        fs::remove(world.checkpoint_folder.drive_of(World::id, 1));
    }
    SUBCASE("one is too short") {
        fs::resize_file(world.checkpoint_folder.drive_of(World::id, 1), 4096);
    }
    CHECK(world.start().empty());
    CHECK(world.failure.starts_with("its volumes cannot be taken over: "));
    CHECK(world.volume("v").host == "lost");
}

TEST_CASE("what a host had of a volume goes when another one has taken it over") {
    World world;
    world.volume_folder.prepare("v", volume_bytes);
    world.volume_folder.keep("v");
    world.volume_folder.prepare("w", volume_bytes);
    world.volume_folder.keep("w");
    world.place("other");
    world.put_volume("v", "other", 1);
    world.place("other");
    world.runner.run_until([&] { return !world.volume_folder.has({"v", 0}); });
    CHECK(world.volume_folder.has({"w", 0}));
}

}  // namespace shoal::node::test
