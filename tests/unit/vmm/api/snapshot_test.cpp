#include "vmm/api/snapshot.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>

#include "tests/unit/vmm/api/api_rig.h"
#include "vmm/state/memory_mark.h"

namespace shoal::api {
namespace {

using testing::ApiRig;
using testing::fault_of;

bool has_given_up(const ApiRig& api) {
    return std::ranges::count(api.microvm.calls, "give_up") > 0;
}

TEST_CASE("a snapshot is made of a paused microVM, into two new files") {
    const testing::TemporaryFolder folder;
    const std::string state = folder.path / "state";
    const std::string memory = folder.path / "memory";
    const std::string body = R"({"snapshot_path":")" + state + R"(","mem_file_path":")";
    ApiRig api;
    api.start();
    CHECK(fault_of(api.put("/snapshot/create", body + memory + "\"}")) ==
          "Create snapshot error: Cannot save the microVM state: Operation not allowed: "
          "save/restore unavailable while running");
    api.microvm.pause();
    CHECK(fault_of(api.put("/snapshot/create", body + state + "\"}")) ==
          "Create snapshot error: The state and the memory need a file each.");
    CHECK(api.put("/snapshot/create", body + memory + "\"}").status == Status::no_content);
    CHECK(std::filesystem::exists(state));
    CHECK(std::filesystem::file_size(memory) > 1 << 20);
}

std::optional<state::MemoryMark> mark_of(const std::string& path) {
    const host::UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    return state::read_mark(file.get(), 1 << 20);
}

TEST_CASE("with track_dirty_pages a Diff has what was written since the snapshot before") {
    const testing::TemporaryFolder folder;
    ApiRig api;
    REQUIRE(api.put("/machine-config",
                    R"({"vcpu_count":1,"mem_size_mib":128,"track_dirty_pages":true})")
                .status == Status::no_content);
    api.start();
    api.microvm.pause();
    const auto create = [&](const std::string& name) {
        return api.put("/snapshot/create", R"({"snapshot_type":"Diff","snapshot_path":")" +
                                               (folder.path / name).string() +
                                               R"(-state","mem_file_path":")" +
                                               (folder.path / name).string() + "\"}");
    };
    REQUIRE(create("first").status == Status::no_content);
    const auto first = mark_of(folder.path / "first");
    REQUIRE(first);
    CHECK_FALSE(first->difference);
    REQUIRE(api.microvm.ram.write(machine::Gpa{65 * 4096}, 1U));
    CHECK(fault_of(create("nowhere/second")).starts_with("Create snapshot error: "));
    REQUIRE(create("second").status == Status::no_content);
    const auto second = mark_of(folder.path / "second");
    REQUIRE(second);
    REQUIRE(second->difference);
    CHECK(second->difference->base == first->id);
    CHECK(second->difference->pages == vmm::PageSet{0, 2, 0, 0});
}

TEST_CASE("drives are saved behind the guest, each once, and none that is not there") {
    const testing::TemporaryFolder folder;
    ApiRig api;
    REQUIRE(api.put("/drives/d", R"({"drive_id":"d","is_root_device":true,"path_on_host":"p"})")
                .status == Status::no_content);
    api.start();
    const auto refusal = [&](const std::string& drives, bool resumes = true) {
        const std::string path = folder.path / "file";
        return fault_of(api.put("/snapshot/create",
                                R"({"snapshot_path":")" + path + R"(","mem_file_path":")" + path +
                                    R"(-m","resume_vm":)" + (resumes ? "true" : "false") +
                                    R"(,"drives":[)" + drives + "]}"));
    };
    const std::string good =
        R"({"drive_id":"d","path":")" + (folder.path / "drive").string() + "\"}";
    CHECK(refusal(R"({"drive_id":"x","path":"/p"})") == "Create snapshot error: Unknown drive: x");
    // As the fake's is; and none is left of the first.
    CHECK(refusal(good) ==
          "Create snapshot error: the drive d has 1049088 bytes: a multiple of 4096, and at most 1 "
          "TiB, can be saved");
    api.microvm.pause();
    CHECK(refusal(good, false) ==
          "Create snapshot error: Drives are saved behind the guest only: with resume_vm.");
    CHECK(refusal(R"({"drive_id":"d"})").starts_with(testing::bad_json));
    CHECK(std::filesystem::is_empty(folder.path));
}

TEST_CASE("a guest that is paused while its drives are copied is paused afterwards, too") {
    const testing::TemporaryFolder folder;
    ApiRig api;
    api.microvm.drive_size_bytes = 1 << 20;
    api.microvm.drive_writes = std::make_shared<machine::WriteLog>(1 << 20);
    REQUIRE(::ftruncate(api.microvm.drive.get(), 1 << 20) == 0);
    REQUIRE(api.put("/drives/d", R"({"drive_id":"d","is_root_device":true,"path_on_host":"p"})")
                .status == Status::no_content);
    api.start();
    vmm::MicrovmState after = vmm::MicrovmState::running;
    const std::string path = folder.path / "file";
    const auto create = [&] {
        REQUIRE(api.put("/snapshot/create", R"({"snapshot_path":")" + path +
                                                R"(","mem_file_path":")" + path +
                                                R"(-m","resume_vm":true,"drives":[{"drive_id":)"
                                                R"("d","path":")" +
                                                path + R"(-d"}]})")
                    .status == Status::no_content);
    };
    SUBCASE("not paused") {
        create();
    }
    SUBCASE("paused meanwhile") {
        create();
        REQUIRE(api.patch("/vm", R"({"state":"Paused"})").status == Status::no_content);
        after = vmm::MicrovmState::paused;
    }
    SUBCASE("paused before, which the order undoes") {
        api.microvm.pause();
        create();
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    while (api.get("/snapshot/create").body.find("Done") == std::string::npos) {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
        api.migration_loop.restart();
        api.migration_loop.run_for(std::chrono::milliseconds{1});
    }
    CHECK(api.microvm.now == after);
}

TEST_CASE("a load that is refused for its body or its time leaves the process alone") {
    ApiRig api;
    CHECK(fault_of(api.put("/snapshot/load", R"({"snapshot_path":"s"})")) ==
          "missing field: either `mem_backend` or `mem_file_path` is required.");
    CHECK(fault_of(api.put("/snapshot/load",
                           R"({"snapshot_path":"s","mem_file_path":"m","mem_backend":)"
                           R"({"backend_type":"File","backend_path":"m"}})")) ==
          "too many fields: either `mem_backend` or `mem_file_path` exclusively is required.");
    REQUIRE(api.put("/entropy", "{}").status == Status::no_content);
    CHECK(fault_of(api.put("/snapshot/load", R"({"snapshot_path":"s","mem_file_path":"m"})")) ==
          "Load snapshot error: Loading a microVM snapshot not allowed after configuring "
          "boot-specific resources.");
    CHECK_FALSE(has_given_up(api));
}

TEST_CASE("a working set is recorded once, when it was asked for") {
    const testing::TemporaryFolder folder;
    const std::string memory = folder.path / "memory";
    const std::string names = R"({"snapshot_path":")" + (folder.path / "state").string() +
                              R"(","mem_file_path":")" + memory + "\"";
    const auto create = [&](const std::string& compression) {
        ApiRig api;
        REQUIRE(api.put("/machine-config", R"({"vcpu_count":1,"mem_size_mib":1})").status ==
                Status::no_content);
        api.start();
        api.microvm.pause();
        REQUIRE(api.put("/snapshot/create", names + R"(,"compression":")" + compression + "\"}")
                    .status == Status::no_content);
    };
    // What it reads ahead; afterwards the guest has wanted these.
    const auto load = [&](bool records, std::vector<std::uint32_t> wanted) {
        ApiRig api;
        api.microvm.wanted = std::move(wanted);
        REQUIRE(api.put("/snapshot/load",
                        names + R"(,"record_working_set":)" + (records ? "true}" : "false}"))
                    .status == Status::no_content);
        CHECK(api.put("/snapshot/working-set", "{}").status == Status::no_content);
        return api.microvm.read_ahead;
    };
    const std::vector<std::uint32_t> none;
    const std::vector<std::uint32_t> pages{16, 0, 240};
    for (const std::string compression : {"None", "Zstd"}) {
        CAPTURE(compression);
        create(compression);
        CHECK(load(false, {1}) == none);
        CHECK(load(true, pages) == none);
        CHECK(load(true, {2}) == pages);
        CHECK(load(false, {3}) == pages);
        create(compression);  // another snapshot
        CHECK(load(true, {4}) == none);
        CHECK(load(false, {}) == std::vector<std::uint32_t>{4});
        std::filesystem::remove(memory + ".working-set");
        CHECK(load(true, {}) == none);  // which another records while it runs
    }
    std::filesystem::remove(memory + ".working-set");
    const std::string elsewhere = folder.path / "elsewhere";
    for (const auto& expected : {none, pages}) {
        ApiRig api;
        api.microvm.wanted = pages;
        REQUIRE(api.put("/snapshot/load", names + R"(,"record_working_set":true,)" +
                                              R"("working_set_path":")" + elsewhere + "\"}")
                    .status == Status::no_content);
        CHECK(api.put("/snapshot/working-set", "{}").status == Status::no_content);
        CHECK(api.microvm.read_ahead == expected);
    }
    CHECK_FALSE(std::filesystem::exists(memory + ".working-set"));
    ApiRig api;
    CHECK(fault_of(api.put("/snapshot/working-set", "{}")) ==
          "The requested operation is not supported before starting the microVM.");
}

TEST_CASE("the clock of a guest that is loaded stood still, unless clock_realtime is wanted") {
    const testing::TemporaryFolder folder;
    const std::string names = R"({"snapshot_path":")" + (folder.path / "state").string() +
                              R"(","mem_file_path":")" + (folder.path / "memory").string() + "\"";
    const auto create = [&](std::uint64_t saved_at_ns) {
        ApiRig api;
        REQUIRE(api.put("/machine-config", R"({"vcpu_count":1,"mem_size_mib":1})").status ==
                Status::no_content);
        api.start();
        api.microvm.pause();
        api.microvm.saved_at_ns = saved_at_ns;
        REQUIRE(api.put("/snapshot/create", names + "}").status == Status::no_content);
    };
    // Since when it is to have run.
    const auto load = [&](const std::string& more) {
        ApiRig api;
        REQUIRE(api.put("/snapshot/load", names + more + "}").status == Status::no_content);
        return api.microvm.loaded.value().machine.clock.realtime_ns;
    };
    create(7);
    CHECK(load("") == 0);
    CHECK(load(R"(,"clock_realtime":true)") == 7);
    create(0);
    CHECK(load("") == 0);
    ApiRig api;
    CHECK(fault_of(api.put("/snapshot/load", names + R"(,"clock_realtime":true})")) ==
          "Load snapshot error: clock_realtime: the snapshot does not say when it was made.");
}

TEST_CASE("a load that fails is the end of the process") {
    ApiRig api;
    const Response response =
        api.put("/snapshot/load", R"({"snapshot_path":"/nowhere/s","mem_file_path":"m"})");
    CHECK(fault_of(response).starts_with("Load snapshot error: cannot open /nowhere/s"));
    CHECK(has_given_up(api));
}

}  // namespace
}  // namespace shoal::api
