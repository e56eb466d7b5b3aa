#include "controlplane/node/checkpoint/checkpoint_keeper.h"

#include <doctest/doctest.h>

#include <boost/asio/post.hpp>
#include <fstream>
#include <map>

#include "controlplane/node/provisions.h"
#include "controlplane/store/memory_store.h"
#include "tests/unit/controlplane/store/event_loop_runner.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::node::test {

namespace {

// Placed at revision 10 on "runs", whose checkpoint of generation 3 is on "keeps".
MicroVm make_microvm() {
    MicroVm microvm;
    microvm.revision = 5;
    microvm.placement = model::Placement{"runs", 1};
    microvm.placement_revision = 10;
    microvm.status.emplace();
    microvm.status->phase = model::Phase::running;
    microvm.checkpoint.emplace();
    microvm.checkpoint->placement = 10;
    microvm.checkpoint->generation = 3;
    microvm.checkpoint->hosts = {"keeps"};
    return microvm;
}

constexpr Revision mirror_at = 100;

using checkpoints::CheckpointFolder;
using checkpoints::CheckpointId;

// Of a placement that the mirror does not know: nobody sweeps it.
const CheckpointId saved{"a", 1'000'000, 3};

void write(const std::string& path, const std::string& text) {
    std::ofstream{path, std::ios::binary} << text;
}

// Makes the checkpoint on a host's disk, as if it had been sent there.
void save_in(const CheckpointFolder& folder) {
    const std::string partial = folder.make_partial();
    write(CheckpointFolder::state_in(partial), "state");
    write(CheckpointFolder::memory_in(partial), "memory");
    static_cast<void>(CheckpointFolder::pack(partial, CheckpointFolder::pack_in(partial)));
    folder.install(partial, saved, {}, 0);
}

// Host "here", which starts it, beside "h1" and "h2".
struct Hosts final : CheckpointSource {
    void fetch(const std::string& host, const CheckpointId& id, const std::string& path,
               Fetched fetched) override {
        asked.push_back(host);
        std::string failure;
        try {
            disks.at(host).pack_again(id, path);
        } catch (const std::runtime_error& error) {
            failure = error.what();
        }
        const bool is_local = std::exchange(full_disk, false);
        failure = is_local ? "No space left on device" : failure;
        boost::asio::post(runner.context(),
                          [answer = Answer{failure, is_local},
                           fetched = std::move(fetched)]() mutable { fetched(answer); });
    }
    // Until it can be started, or cannot: why.
    std::string start(CheckpointKeeper& keeper, const std::vector<std::string>& holders) {
        MicroVm microvm;
        microvm.checkpoint.emplace();
        microvm.checkpoint->placement = saved.placement;
        microvm.checkpoint->generation = saved.generation;
        microvm.checkpoint->hosts = holders;
        std::optional<std::string> result;
        runner.run_until([&] {
            try {
                const CheckpointId id = keeper.expect("a", microvm);
                CHECK(id == saved);
                result = "";
            } catch (const NotYet& reason) {
                waited_for = reason.what();
            } catch (const NoCheckpoint& reason) {
                result = reason.what();
            }
            return result.has_value();
        });
        return *result;
    }

    store::test::ScratchFolder scratch;
    store::test::EventLoopRunner runner;
    store::MemoryStore store{runner.loop()};
    Mirror mirror{runner.loop(), store};
    std::map<std::string, CheckpointFolder> disks{
        {"here", CheckpointFolder{scratch.file("here"), ""}},
        {"h1", CheckpointFolder{scratch.file("h1"), ""}},
        {"h2", CheckpointFolder{scratch.file("h2"), ""}}};
    boost::asio::thread_pool workers{1};
    std::vector<std::string> asked;
    bool full_disk = false;  // at the next fetch
    std::string waited_for;
};

}  // namespace

TEST_CASE("a host keeps the checkpoint that counts, and the one whose record is on its way") {
    const MicroVm microvm = make_microvm();
    CHECK(is_kept({"a", 10, 3}, &microvm, "keeps", mirror_at));
    CHECK(is_kept({"a", 10, 4}, &microvm, "keeps", mirror_at));
    CHECK_FALSE(is_kept({"a", 10, 2}, &microvm, "keeps", mirror_at));
    CHECK_FALSE(is_kept({"a", 10, 3}, &microvm, "other", mirror_at));
}

TEST_CASE("what a host has sent that lost the microVM goes, whatever it is called") {
    MicroVm microvm = make_microvm();
    SUBCASE("it is placed elsewhere, and not saved yet") {
        microvm.placement_revision = 20;
    }
    SUBCASE("it is placed nowhere") {
        microvm.placement.reset();
        microvm.placement_revision = 0;
    }
    CHECK(is_kept({"a", 10, 3}, &microvm, "keeps", mirror_at));
    CHECK_FALSE(is_kept({"a", 10, 4}, &microvm, "keeps", mirror_at));
}

TEST_CASE("a checkpoint is kept while nobody can read whose it is") {
    MicroVm microvm = make_microvm();
    SUBCASE("its microVM's record") {
        microvm.has_damaged_spec = true;
    }
    SUBCASE("its own record") {
        microvm.checkpoint.reset();
        microvm.checkpoint_revision = 17;
    }
    CHECK(is_kept({"a", 10, 2}, &microvm, "other", mirror_at));
}

TEST_CASE("nobody keeps a checkpoint of a microVM that is gone, or begins anew") {
    CHECK_FALSE(is_kept({"a", 10, 3}, nullptr, "keeps", mirror_at));
    MicroVm microvm = make_microvm();
    microvm.revision = 0;
    CHECK_FALSE(is_kept({"a", 10, 3}, &microvm, "keeps", mirror_at));
    microvm = make_microvm();
    microvm.checkpoint.reset();
    microvm.placement_revision = 20;
    CHECK_FALSE(is_kept({"a", 10, 3}, &microvm, "keeps", mirror_at));
}

TEST_CASE("a checkpoint of a placement that is not known here yet is kept") {
    CHECK(is_kept({"a", mirror_at + 1, 1}, nullptr, "keeps", mirror_at));
}

TEST_CASE("what was fetched is kept until the microVM runs from it") {
    MicroVm microvm = make_microvm();
    microvm.placement->host = std::string{"next"};
    microvm.placement_revision = 20;
    microvm.status.reset();
    CHECK(is_kept({"a", 10, 3}, &microvm, "next", mirror_at));
    microvm.status.emplace();
    microvm.status->phase = model::Phase::running;
    CHECK_FALSE(is_kept({"a", 10, 3}, &microvm, "next", mirror_at));
    CHECK(is_kept({"a", 10, 3}, &microvm, "keeps", mirror_at));
}

TEST_CASE("a microVM starts from a copy that is as it was received, and from no other") {
    Hosts hosts;
    const CheckpointFolder& here = hosts.disks.at("here");
    const CheckpointFolder& first = hosts.disks.at("h1");
    const CheckpointFolder& second = hosts.disks.at("h2");
    std::vector<std::string> holders{"h1", "h2"};
    std::vector<std::string> asked;
    SUBCASE("its own") {
        save_in(here);
        holders = {"here"};
    }
    SUBCASE("the first one's") {
        save_in(first);
        save_in(second);
        asked = {"h1"};
    }
    SUBCASE("its own is damaged") {
        save_in(here);
        save_in(first);
        write(here.memory_of(saved), "memorY");
        holders = {"here", "h1"};
        asked = {"h1"};
    }
    SUBCASE("the first one's is damaged") {
        save_in(first);
        save_in(second);
        write(first.state_of(saved), "State");
        asked = {"h1", "h2"};
    }
    SUBCASE("there was no room for it here: that is not the first one's fault") {
        save_in(first);
        hosts.full_disk = true;
        asked = {"h1", "h1"};
    }
    SUBCASE("the first one has lost it") {
        save_in(second);
        asked = {"h1", "h2"};
    }
    CheckpointKeeper keeper{
        {hosts.runner.context(), hosts.workers, hosts.runner.loop(), hosts.mirror, here, hosts},
        "here"};
    CHECK(hosts.start(keeper, holders).empty());
    CHECK(hosts.asked == asked);
    CHECK_NOTHROW(here.expect_sound(saved));
}

TEST_CASE("a microVM of which all copies are damaged is told at once that it has none, and why") {
    Hosts hosts;
    const CheckpointFolder& here = hosts.disks.at("here");
    const CheckpointFolder& first = hosts.disks.at("h1");
    save_in(here);
    save_in(first);
    write(here.memory_of(saved), "Memory");
    write(first.memory_of(saved), "Memory");
    CheckpointKeeper keeper{
        {hosts.runner.context(), hosts.workers, hosts.runner.loop(), hosts.mirror, here, hosts},
        "here"};
    SUBCASE("one") {
        CHECK(hosts.start(keeper, {"here"}) ==
              "no host has given its checkpoint: the copy of host here is damaged: " +
                  here.memory_of(saved) + " is damaged in the 4096 bytes at 0");
        CHECK(hosts.asked.empty());
    }
    SUBCASE("two") {
        const std::string why = hosts.start(keeper, {"here", "h1"});
        CHECK(
            why.starts_with("no host has given its checkpoint: the copy of host h1 is damaged: "));
        CHECK(hosts.asked == std::vector<std::string>{"h1"});
    }
    hosts.workers.join();
    CHECK_FALSE(here.has(saved));
}

}  // namespace shoal::node::test
