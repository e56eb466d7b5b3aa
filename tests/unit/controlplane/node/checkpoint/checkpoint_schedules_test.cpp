// Checkpoints in seeded worlds, where hosts die and come back at any moment and what was sent
// arrives late: the store never has a checkpoint that is not, whole, on all hosts that it names.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <set>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/checkpoint/checkpoint_keeper.h"
#include "controlplane/node/checkpoint/checkpointer.h"
#include "tests/unit/controlplane/node/manual_store.h"
#include "tests/unit/controlplane/node/process/fake_runner.h"
#include "tests/unit/controlplane/store/scratch_folder.h"

namespace shoal::node::test {

namespace {

namespace keys = model::keys;
using checkpoints::CheckpointId;
using std::chrono::milliseconds;
using std::chrono::seconds;

class Schedule;

// Outlives its host's shoalds.
using Disk = std::map<CheckpointId, std::uint64_t>;  // how far the guest was

// A host's shoald, with the VMMs and the way to others' disks that the world has.
class Shoald final : private VmmClient, private CheckpointOutlet, private MirrorListener {
public:
    Shoald(Schedule& world, std::string name);
    Shoald(const Shoald&) = delete;
    Shoald& operator=(const Shoald&) = delete;
    ~Shoald() override {
        mirror_.remove_listener(*this);
        mirror_.remove_listener(checkpointer_);
    }

    FakeRunner runner;

private:
    void call(const std::string& socket, VmmRequest request, Handler handler) override;
    std::string make_folder(const std::string&, std::uint64_t) override { return "/folder"; }
    void delete_folder(const std::string&) override {}
    void ship(Shipment shipment, Done done) override;
    void on_microvm_changed(const std::string& name) override { sweep(name); }
    void sweep(const std::string& name);

    Schedule& world_;
    std::string name_;
    Mirror mirror_;
    store::test::ScratchFolder scratch_;
    volumes::VolumeFolder volumes_{scratch_.file("volumes")};
    Checkpointer checkpointer_;
    std::map<std::string, std::uint64_t> saved_;  // by microVM: what its VMM's snapshot has
    std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

class Schedule : public ManualStore {
public:
    explicit Schedule(unsigned seed) : dice{seed} {
        for (const char* name : {"h0", "h1", "h2", "h3"}) {
            model::Host facts;
            facts.name = name;
            facts.peer_address = "10.0.0.1:7";
            put(keys::of(keys::hosts, name), model::to_json(facts));
            disks[name];
            shoalds[name];
        }
        beat();
        for (auto& [name, shoald] : shoalds) {
            shoald = std::make_unique<Shoald>(*this, name);
        }
        loop.settle();
        for (const char* name : {"a", "b"}) {
            model::MicroVmSpec spec;
            spec.name = name;
            spec.program = "/bin/true";
            spec.on_host_failure = model::HostFailurePolicy::restore;
            spec.checkpoint = model::CheckpointPlan{1, 1 + dice() % 2};
            put(keys::of(keys::microvms, name), model::to_json(spec));
            place(name);
        }
    }

    void run(int steps) {
        for (int step = 0; step < steps; ++step) {
            if (dice() % 40 == 0) {
                kill(random_host());
            }
            for (auto& [name, shoald] : shoalds) {
                if (!shoald && dice() % 30 == 0) {
                    shoald = std::make_unique<Shoald>(*this, name);
                }
            }
            beat();
            loop.advance(milliseconds{100});
            for (auto& [name, there] : where) {
                ++progress[name];
            }
            check();
        }
    }

    // Whoever it has, its disk keeps what is on it.
    void kill(const std::string& host) {
        const auto up =
            std::ranges::count_if(shoalds, [](const auto& each) { return each.second != nullptr; });
        if (!shoalds[host] || up <= 2) {
            return;
        }
        shoalds[host].reset();
        for (const auto& [name, there] : std::map{where}) {
            if (there == host) {
                commit({{},
                        {store::Delete{keys::of(keys::placements, name)},
                         store::Delete{keys::of(keys::statuses, host, name)}}});
                place(name);
            }
        }
    }

    // As the leader and the host do it, in one step.
    void place(const std::string& name) {
        std::string host = random_host();
        while (!shoalds[host]) {
            host = random_host();
        }
        const auto record = record_of(name);
        const bool is_restored = record && !record->hosts.empty();
        progress[name] =
            is_restored ? disks[record->hosts[0]].at({name, record->placement, record->generation})
                        : 0;
        CHECK(progress[name] >= (is_restored ? kept[name] : 0));
        where[name] = host;
        const Revision created = entry_of(keys::of(keys::microvms, name))->create_revision;
        shoalds[host]->runner.runs({name, created, 0});
        put(keys::of(keys::placements, name), model::to_json(model::Placement{host, 1}));
        model::MicroVmStatus status;
        status.phase = model::Phase::running;
        put(keys::of(keys::statuses, host, name), model::to_json(status));
    }

    void beat() {
        for (const auto& [name, shoald] : shoalds) {
            if (shoald || !has_begun_) {
                put(keys::of(keys::heartbeats, name), model::to_json(model::Heartbeat{1, 1}));
            }
        }
        has_begun_ = true;
    }

    void check() {
        for (const char* name : {"a", "b"}) {
            const auto record = record_of(name);
            if (!record || record->hosts.empty()) {
                continue;
            }
            const CheckpointId id{name, record->placement, record->generation};
            for (const std::string& host : record->hosts) {
                const auto found = disks[host].find(id);
                REQUIRE(found != disks[host].end());
                REQUIRE(found->second >= kept[name]);  // never an older one than before
            }
            recorded.insert(id);
            kept[name] = disks[record->hosts[0]].at(id);
        }
    }

    std::optional<store::Entry> entry_of(const std::string& key) {
        std::optional<store::Entry> entry;
        store.get(key, [&](const store::Result<store::Lookup>& lookup) { entry = lookup->entry; });
        loop.settle();
        return entry;
    }
    std::optional<model::Checkpoint> record_of(const std::string& name) {
        const auto entry = entry_of(keys::of(keys::checkpoints, name));
        return entry ? std::optional{model::from_json<model::Checkpoint>(entry->value)}
                     : std::nullopt;
    }
    std::string random_host() { return "h" + std::to_string(dice() % 4); }
    milliseconds random_delay() { return milliseconds{dice() % 1500}; }

    std::mt19937 dice;
    std::map<std::string, Disk> disks;
    std::map<std::string, std::uint64_t> progress;  // of each guest
    std::map<std::string, std::uint64_t> kept;      // as far as its checkpoint was
    std::map<std::string, std::string> where;
    std::set<CheckpointId> recorded;
    std::map<std::string, std::unique_ptr<Shoald>> shoalds;

private:
    bool has_begun_ = false;
};

Shoald::Shoald(Schedule& world, std::string name)
    : world_{world},
      name_{std::move(name)},
      mirror_{world.loop, world.store},
      checkpointer_{{world.loop, world.store, mirror_, runner, *this, *this, volumes_}, name_} {
    mirror_.start([this](const store::Result<Revision>&) {
        mirror_.add_listener(*this);
        mirror_.add_listener(checkpointer_);
        for (const char* microvm : {"a", "b"}) {
            sweep(microvm);
        }
        checkpointer_.start();
    });
}

void Shoald::call(const std::string& socket, VmmRequest request, Handler handler) {
    const std::string microvm = socket.substr(socket.rfind('/') + 1);
    if (request.method == "PUT") {
        saved_[microvm] = world_.progress[microvm];
    }
    world_.loop.call_after(
        milliseconds{world_.dice() % 200},
        [alive = std::weak_ptr{is_alive_}, handler = std::move(handler)]() mutable {
            if (!alive.expired()) {
                handler(VmmAnswer{200, R"({"state":"Done","pause_us":1})"});
            }
        });
}

// It arrives whether or not its sender lives; the sender hears of it later, or never.
void Shoald::ship(Shipment shipment, Done done) {
    const auto result = std::make_shared<Shipped>();
    milliseconds latest{0};
    for (const std::string& host : shipment.hosts) {
        const milliseconds delay = world_.random_delay();
        latest = std::max(latest, delay);
        world_.loop.call_after(
            delay, [&world = world_, host, result, id = shipment.id, base = shipment.base,
                    progress = saved_[shipment.id.microvm]] {
                if (!world.shoalds[host] || (base && !world.disks[host].contains(*base))) {
                    result->failure = "it is not there";
                    return;
                }
                world.disks[host][id] = progress;
                world.shoalds[host]->sweep(id.microvm);
            });
    }
    world_.loop.call_after(
        latest + world_.random_delay() / 4,
        [alive = std::weak_ptr{is_alive_}, result, done = std::move(done)]() mutable {
            if (!alive.expired()) {
                done(*result);
            }
        });
}

void Shoald::sweep(const std::string& name) {
    const auto found = mirror_.microvms().find(name);
    const MicroVm* microvm = found == mirror_.microvms().end() ? nullptr : &found->second;
    std::erase_if(world_.disks[name_], [&](const auto& content) {
        return content.first.microvm == name &&
               !is_kept(content.first, microvm, name_, mirror_.revision());
    });
}

}  // namespace

TEST_CASE("the store never has a checkpoint that is not on the disks that it names") {
    std::size_t recorded = 0;
    for (unsigned seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        Schedule world{seed};
        world.run(400);
        recorded += world.recorded.size();
        // Nothing but what counts, or is on its way, is left.
        for (const auto& [host, disk] : world.disks) {
            CHECK((disk.size() <= 4 || !world.shoalds[host]));
        }
    }
    CHECK(recorded > 1000);
}

}  // namespace shoal::node::test
