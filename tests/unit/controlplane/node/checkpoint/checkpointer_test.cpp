// Checkpoints of a microVM whose VMM and whose hosts' disks answer as a table says.
#include "controlplane/node/checkpoint/checkpointer.h"

#include <doctest/doctest.h>

#include <set>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "tests/unit/controlplane/node/manual_store.h"
#include "tests/unit/controlplane/node/process/fake_runner.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::node::test {

namespace {

namespace keys = model::keys;
using std::chrono::milliseconds;
using std::chrono::seconds;

class FakeVmm final : public VmmClient {
public:
    explicit FakeVmm(store::EventLoop& loop) : loop_{loop} {}

    void call(const std::string&, VmmRequest request, Handler handler) override {
        std::optional<VmmAnswer> answer = VmmAnswer{204, {}};
        if (request.method == "GET") {
            answer->status = 200;
            answer->body = R"({"state":")" + state + R"(","pause_us":7,"fault_message":"full"})";
        } else {
            orders.push_back(request.body);
            if (!refusal.empty()) {
                answer = VmmAnswer{400, R"({"fault_message":")" + refusal + R"("})"};
            }
        }
        if (!answers) {
            answer.reset();
        }
        loop_.post([handler = std::move(handler), answer]() mutable { handler(answer); });
    }
    // "Full" or "Diff": of each snapshot.
    [[nodiscard]] std::string type(std::size_t index) const {
        return orders.at(index).find("Diff") == std::string::npos ? "Full" : "Diff";
    }

    bool answers = true;
    std::string state = "Done";
    std::string refusal;
    std::vector<std::string> orders;

private:
    store::EventLoop& loop_;
};

class FakeOutlet final : public CheckpointOutlet {
public:
    explicit FakeOutlet(store::EventLoop& loop) : loop_{loop} {}

    std::string make_folder(const std::string& place, std::uint64_t) override {
        places.insert(place);
        ++folders;
        return "/folder";
    }
    void delete_folder(const std::string&) override { --folders; }
    void ship(Shipment shipment, Done done) override {
        shipments.push_back(std::move(shipment));
        if (is_stuck) {
            waiting.push_back(std::move(done));
            return;
        }
        loop_.post([done = std::move(done), failure = failure]() mutable { done({failure, 99}); });
    }

    bool is_stuck = false;
    std::string failure;
    int folders = 0;  // that are there
    std::set<std::string> places;
    std::vector<Shipment> shipments;
    std::vector<Done> waiting;

private:
    store::EventLoop& loop_;
};

class World : public ManualStore {
public:
    // One microVM that runs here, to be saved every 10 s, and two other hosts.
    World() {
        for (const char* host : {"here", "one", "two"}) {
            model::Host facts;
            facts.name = host;
            facts.cpu_model = "A CPU";
            facts.peer_address = "10.0.0.1:7";
            put(keys::of(keys::hosts, host), model::to_json(facts));
        }
        add("a");
        mirror.start([this](const store::Result<Revision>& ready) {
            REQUIRE(ready);
            mirror.add_listener(checkpointer);
            checkpointer.start();
        });
        loop.settle();
    }
    ~World() { mirror.remove_listener(checkpointer); }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    void add(const std::string& name, std::vector<std::string> attached = {}) {
        model::MicroVmSpec spec;
        spec.volumes = std::move(attached);
        spec.name = name;
        spec.program = "/bin/true";
        spec.on_host_failure = model::HostFailurePolicy::restore;
        spec.checkpoint = model::CheckpointPlan{10, 1};
        Revision created = 0;
        store.commit({{}, {store::Put{keys::of(keys::microvms, name), model::to_json(spec)}}},
                     [&](const store::Result<Revision>& result) { created = *result; });
        loop.settle();
        runner.runs({name, created, 0});
        place(name, "here");
        model::MicroVmStatus status;
        status.phase = model::Phase::running;
        put(keys::of(keys::statuses, "here", name), model::to_json(status));
    }
    void place(const std::string& name, const std::string& host) {
        put(keys::of(keys::placements, name), model::to_json(model::Placement{host, 1}));
    }
    // Hosts' hearts beat meanwhile.
    void pass(seconds time) {
        for (seconds at{0}; at < time; at += seconds{1}) {
            for (const char* host : {"here", "one", "two"}) {
                if (host != silent) {
                    put(keys::of(keys::heartbeats, host), model::to_json(model::Heartbeat{1, 1}));
                }
            }
            loop.advance(seconds{1});
        }
    }
    [[nodiscard]] const std::optional<model::Checkpoint>& record() {
        return mirror.find("a")->checkpoint;
    }

    FakeRunner runner;
    FakeVmm vmm{loop};
    FakeOutlet outlet{loop};
    store::test::ScratchFolder scratch;
    volumes::VolumeFolder volumes{scratch.file("volumes")};
    Mirror mirror{loop, store};
    Checkpointer checkpointer{{loop, store, mirror, runner, vmm, outlet, volumes}, "here"};
    std::string silent;
};

}  // namespace

TEST_CASE("a checkpoint is whole first, then what has changed, and counts once it is kept") {
    World world;
    world.pass(seconds{9});
    CHECK(world.vmm.orders.empty());
    world.outlet.is_stuck = true;
    world.pass(seconds{2});
    REQUIRE(world.outlet.shipments.size() == 1);
    CHECK(world.vmm.type(0) == "Full");
    CHECK_FALSE(world.outlet.shipments[0].base);
    CHECK_FALSE(world.record());
    world.outlet.waiting.at(0)({"", 99});
    world.loop.settle();
    REQUIRE(world.record());
    CHECK(world.record()->generation == 1);
    CHECK(world.record()->placement == world.mirror.find("a")->placement_revision);
    CHECK(world.record()->hosts == world.outlet.shipments[0].hosts);
    CHECK(world.record()->cpu_model == "A CPU");
    CHECK(world.record()->sent_bytes == 99);
    CHECK(world.record()->pause_us == 7);

    world.outlet.is_stuck = false;
    world.pass(seconds{11});
    CHECK(world.vmm.type(1) == "Diff");
    CHECK(world.outlet.shipments.at(1).base == world.outlet.shipments[0].id);
    CHECK(world.record()->generation == 2);
    CHECK(world.outlet.folders == 0);
}

TEST_CASE("volumes are saved with the memory, by the files that their drives get") {
    World world;
    world.volumes.prepare("v", 1 << 20);
    world.volumes.keep("v");
    world.put(keys::of(keys::volumes, "v"), model::to_json(model::Volume{"v", 1, "here"}));
    world.add("b", {"v"});
    world.pass(seconds{11});
    REQUIRE(world.outlet.shipments.size() == 2);
    CHECK(world.outlet.places == std::set<std::string>{"/saves/a", "/saves/b"});
    CHECK(world.outlet.shipments[0].drives == 0);
    CHECK(world.outlet.shipments[1].drives == 1);
    CHECK(world.vmm.orders[0].find("drive_id") == std::string::npos);
    CHECK(world.vmm.orders[1].find(R"("drives":[{"drive_id":"disk0","path":"/folder/drive-0"}])") !=
          std::string::npos);
    SUBCASE("one whose file is gone is not saved") {
        world.outlet.failure = "no";  // the next one is whole
        world.pass(seconds{11});
        world.volumes.mark_deleted({"v"});
        const std::size_t orders = world.vmm.orders.size();
        world.outlet.failure = "";
        world.pass(seconds{6});
        CHECK(world.vmm.orders.size() == orders + 1);
        CHECK(world.mirror.find("b")->checkpoint->failure.starts_with("cannot look at "));
    }
}

TEST_CASE("a checkpoint that fails leaves the last one, says why once, and the next is whole") {
    World world;
    world.pass(seconds{11});
    REQUIRE(world.record()->generation == 1);
    std::string reason = "host one: it is full";
    SUBCASE("a host does not keep it") {
        world.outlet.failure = reason;
    }
    SUBCASE("the VMM refuses") {
        world.vmm.refusal = reason;
    }
    SUBCASE("the VMM could not write it") {
        world.vmm.state = "Failed";
        reason = "full";
    }
    SUBCASE("the VMM does not answer") {
        world.vmm.answers = false;
        reason = "its VMM does not answer";
    }
    world.pass(seconds{11});
    CHECK(world.record()->generation == 1);
    CHECK(world.record()->failure == reason);
    CHECK(world.outlet.folders == 0);
    const Revision told = world.mirror.find("a")->checkpoint_revision;
    const std::size_t orders = world.vmm.orders.size();
    world.pass(seconds{6});
    CHECK(world.vmm.orders.size() > orders);
    CHECK(world.mirror.find("a")->checkpoint_revision == told);

    world.outlet.failure.clear();
    world.vmm.refusal.clear();
    world.vmm.state = "Done";
    world.vmm.answers = true;
    world.pass(seconds{6});
    CHECK(world.record()->generation == 2);
    CHECK(world.record()->failure.empty());
    CHECK(world.vmm.type(world.vmm.orders.size() - 1) == "Full");
}

TEST_CASE("another host gets a checkpoint whole when the one that kept it falls silent") {
    World world;
    world.pass(seconds{11});
    world.silent = world.record()->hosts.at(0);
    world.pass(seconds{11});
    CHECK(world.record()->generation == 2);
    CHECK(world.record()->hosts.at(0) != world.silent);
    CHECK(world.vmm.type(1) == "Full");
}

TEST_CASE("without another host there is no checkpoint, and the record says so") {
    World world;
    for (const char* host : {"one", "two"}) {
        world.commit({{}, {store::Delete{keys::of(keys::hosts, host)}}});
    }
    world.pass(seconds{11});
    REQUIRE(world.record());
    CHECK(world.record()->hosts.empty());
    CHECK(world.record()->failure == "no other host can keep its checkpoint");
    CHECK(world.vmm.orders.empty());
}

TEST_CASE("a checkpoint of a microVM that is elsewhere or ended meanwhile does not count") {
    World world;
    world.outlet.is_stuck = true;
    world.pass(seconds{11});
    REQUIRE(world.outlet.waiting.size() == 1);
    SUBCASE("it was placed on another host") {
        world.place("a", "two");
    }
    SUBCASE("it has ended") {
        model::MicroVmStatus status;
        status.phase = model::Phase::succeeded;
        world.put(keys::of(keys::statuses, "here", "a"), model::to_json(status));
    }
    world.outlet.waiting[0]({"", 99});
    world.loop.settle();
    CHECK_FALSE(world.record());
    CHECK(world.outlet.folders == 0);
    world.pass(seconds{30});
    CHECK(world.vmm.orders.size() == 1);
}

TEST_CASE("no more than two checkpoints are made at once, and nobody waits for ever") {
    World world;
    for (const char* name : {"b", "c", "d"}) {
        world.add(name);
    }
    world.outlet.is_stuck = true;
    world.pass(seconds{12});
    CHECK(world.outlet.shipments.size() == Checkpointer::max_at_once);
    for (std::size_t idx = 0; idx < 4; ++idx) {
        REQUIRE(world.outlet.waiting.size() > idx);
        world.outlet.waiting[idx]({"", 1});
        world.pass(seconds{1});
    }
    for (const char* name : {"a", "b", "c", "d"}) {
        CHECK(world.mirror.find(name)->checkpoint);
    }
}

}  // namespace shoal::node::test
