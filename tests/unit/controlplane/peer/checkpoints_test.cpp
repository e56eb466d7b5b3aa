// A checkpoint goes from one host's disk to another's, and comes back, over a real socket.
#include "controlplane/peer/checkpoints.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/peer/server.h"
#include "controlplane/store/memory_store.h"
#include "tests/unit/controlplane/store/event_loop_runner.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::peer::test {
namespace {

namespace fs = std::filesystem;
using checkpoints::CheckpointFolder;
using checkpoints::CheckpointId;

void write(const std::string& path, const std::string& text) {
    std::ofstream{path, std::ios::binary} << text;
}

std::string read(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

// Host "keeps", which another one asks.
struct Pair {
    Pair() {
        add_checkpoints(api, {runner.context(), workers, kept, keeper});
        server.start();
        model::Host facts;
        facts.name = "keeps";
        facts.peer_address = server.address();
        put("/hosts/keeps", model::to_json(facts));
        // Placed at a revision that is yet to come: its checkpoints are not swept.
        bool is_ready = false;
        mirror.start([&](const store::Result<store::Revision>&) { is_ready = true; });
        runner.run_until([&] { return is_ready; });
    }

    void put(const std::string& key, const std::string& value) {
        static_cast<void>(runner.await<store::Revision>([&](auto handler) {
            store.put({key, value}, std::move(handler));
        }));
    }
    node::Shipped ship(const CheckpointId& id, const std::string& memory,
                       const std::optional<CheckpointId>& base = {},
                       const std::string& host = "keeps", std::size_t drives = 0) {
        const std::string folder = others.make_folder(saves, 0);
        write(CheckpointFolder::state_in(folder), "state");
        write(CheckpointFolder::memory_in(folder), memory);
        std::optional<node::Shipped> result;
        for (std::size_t drive = 0; drive < drives; ++drive) {
            write(CheckpointFolder::drive_in(folder, drive), "drive " + std::to_string(drive));
        }
        others.ship({folder, drives, id, base, {host}},
                    [&](node::Shipped shipped) { result = shipped; });
        runner.run_until([&] { return result.has_value(); });
        others.delete_folder(folder);
        return *result;
    }
    std::string fetch(const CheckpointId& id, const std::string& path) {
        std::optional<std::string> result;
        others.fetch("keeps", id, path, [&](const node::CheckpointSource::Answer& answer) {
            result = answer.failure;
        });
        runner.run_until([&] { return result.has_value(); });
        return *result;
    }

    store::test::ScratchFolder scratch;
    const std::string saves = scratch.file("saves");
    store::test::EventLoopRunner runner;
    store::MemoryStore store{runner.loop()};
    node::Mirror mirror{runner.loop(), store};
    CheckpointFolder kept{scratch.file("kept"), "/nowhere/shoal-vmm"};
    CheckpointFolder own{scratch.file("own"), "/nowhere/shoal-vmm"};
    boost::asio::thread_pool workers{2};
    Client client{runner.context(), nullptr};
    Checkpoints others{{runner.context(), workers, mirror, own, client}};
    node::CheckpointKeeper keeper{{runner.context(), workers, runner.loop(), mirror, kept, others},
                                  "keeps"};
    rest::Api api;
    Server server{runner.context(), "127.0.0.1", 0, nullptr,
                  [this](const rest::Request& request, rest::Respond respond) {
                      api.handle(request, std::move(respond));
                  }};
};

const CheckpointId first{"a", 1'000'000, 1};

}  // namespace

TEST_CASE("a checkpoint is on the other host's disk when it is told to be, and comes back") {
    Pair pair;
    const std::string memory = std::string(1 << 20, 'm') + std::string(1 << 20, '\0') + "end";
    const node::Shipped shipped = pair.ship(first, memory, {}, "keeps", 2);
    CHECK(shipped.failure.empty());
    CHECK(shipped.sent_bytes > 1 << 20);
    CHECK(fs::exists(pair.saves));  // where its VMM may write
    REQUIRE(pair.kept.has(first));
    CHECK(read(pair.kept.memory_of(first)) == memory);

    const std::string partial = pair.own.make_partial();
    CHECK(pair.fetch(first, CheckpointFolder::pack_in(partial)).empty());
    pair.own.adopt(partial, first, 2);
    CHECK(read(pair.own.drive_of(first, 1)) == "drive 1");
    CHECK(read(pair.own.memory_of(first)) == memory);
    CHECK(read(pair.own.state_of(first)) == "state");
}

TEST_CASE("what another host does not keep is said with that host's reason, and leaves nothing") {
    Pair pair;
    std::string reason;
    node::Shipped shipped;
    SUBCASE("a difference to what it does not have") {
        shipped = pair.ship({"a", 1'000'000, 2}, "m", first);
        reason = "host keeps: checkpoint a@1000000.1 is not here";
    }
    SUBCASE("a host that is not known") {
        shipped = pair.ship(first, "m", {}, "other");
        reason = "there is no host other";
    }
    CHECK(shipped.failure == reason);
    CHECK(pair.kept.list().empty());
    CHECK(fs::is_empty(pair.scratch.file("kept")));
}

TEST_CASE("a checkpoint that a host does not have cannot be fetched from it") {
    Pair pair;
    const std::string path = pair.scratch.file("pack");
    CHECK(pair.fetch(first, path) == "host keeps: checkpoint a@1000000.1 is not here");
    CHECK_FALSE(fs::exists(path));
    CHECK(fs::is_empty(pair.scratch.file("kept")));
}

TEST_CASE("a checkpoint's name in a request is one, or is refused") {
    Pair pair;
    for (const char* name : {"..", "a", "a@1", "a@1.x"}) {
        std::optional<unsigned> status;
        rest::Request request;
        request.method = "GET";
        request.path = {"v1", "checkpoints", name};
        pair.client.send({"keeps", pair.server.address()}, request, {},
                         [&](const rest::Response& response) { status = response.status; });
        pair.runner.run_until([&] { return status.has_value(); });
        CHECK(*status == 400);
    }
}

TEST_CASE("how many drives a checkpoint has is a small number, or is refused") {
    Pair pair;
    for (const char* drives : {"", "9", "-1", "x", "1x", "99999999999999999999"}) {
        std::optional<unsigned> status;
        rest::Request request;
        request.method = "PUT";
        request.path = {"v1", "checkpoints", to_text(first)};
        request.query["drives"] = drives;
        pair.client.send({"keeps", pair.server.address()}, request, {},
                         [&](const rest::Response& response) { status = response.status; });
        pair.runner.run_until([&] { return status.has_value(); });
        CHECK(*status == 400);
    }
    CHECK(fs::is_empty(pair.scratch.file("kept")));
}

}  // namespace shoal::peer::test
