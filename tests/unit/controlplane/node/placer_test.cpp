#include "controlplane/node/placer.h"

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "tests/unit/controlplane/node/manual_store.h"

namespace shoal::node::test {

namespace {

namespace keys = model::keys;
using model::Phase;

// A host with room for two microVMs of 128 MiB; the test plays the API and the node agent.
class Host : public ManualStore {
public:
    Host() { restart(); }

    void restart() {
        placer_.reset();
        mirror_ = std::make_unique<Mirror>(loop, store);
        placer_ = std::make_unique<Placer>(
            loop, store, *mirror_, PlacerSettings{"here", model::Resources{256, 100'000, 100}});
        mirror_->start([this](const store::Result<Revision>& ready) {
            REQUIRE(ready);
            mirror_->add_listener(*placer_);
            placer_->start();
        });
        loop.settle();
    }
    void want(const std::string& name, std::uint64_t memory_mib = 128, std::int32_t priority = 0) {
        model::MicroVmSpec spec;
        spec.name = name;
        spec.program = "/bin/true";
        spec.memory_mib = memory_mib;
        spec.priority = priority;
        put(keys::of(keys::microvms, name), model::to_json(spec));
    }
    void want_saved(const std::string& name, std::uint64_t memory_mib) {
        model::MicroVmSpec spec;
        spec.name = name;
        spec.program = "/bin/true";
        spec.memory_mib = memory_mib;
        spec.on_host_failure = model::HostFailurePolicy::restore;
        put(keys::of(keys::microvms, name), model::to_json(spec));
    }
    void end(const std::string& name) {
        model::MicroVmStatus status;
        status.phase = Phase::succeeded;
        put(keys::of(keys::statuses, "here", name), model::to_json(status));
    }
    void remove(const std::string& name) {
        commit({{},
                {store::Delete{keys::of(keys::microvms, name)},
                 store::Delete{keys::of(keys::placements, name)},
                 store::Delete{keys::of(keys::statuses, "here", name)}}});
    }
    void set_scheduling(model::Scheduling scheduling) {
        model::Host host;
        host.name = "here";
        host.scheduling = scheduling;
        put(keys::of(keys::hosts, "here"), model::to_json(host));
    }
    void set_memory_pressure(const std::string& why) {
        model::Host host;
        host.name = "here";
        host.memory_pressure = why;
        put(keys::of(keys::hosts, "here"), model::to_json(host));
    }
    bool is_placed(const std::string& name) const {
        return mirror_->find(name) != nullptr && mirror_->find(name)->placement.has_value();
    }
    std::string reason(const std::string& name) const {
        return mirror_->find(name)->status.value_or(model::MicroVmStatus{}).reason;
    }
    Placer& placer() { return *placer_; }

private:
    std::unique_ptr<Mirror> mirror_;
    std::unique_ptr<Placer> placer_;
};

}  // namespace

TEST_CASE("what saves may take counts before there is room for it") {
    Host host;
    host.want_saved("a", 100);
    CHECK(host.is_placed("a"));
    host.want("b", 57);
    CHECK_FALSE(host.is_placed("b"));
    CHECK(host.reason("b").find("it needs 57 MiB, and 56 MiB are free") != std::string::npos);
    host.want_saved("c", 29);
    CHECK(host.reason("c").find("it needs 58 MiB, and 56 MiB are free") != std::string::npos);
    host.want_saved("d", 28);
    CHECK(host.is_placed("d"));
}

TEST_CASE("what does not fit waits, says why, and gets room when another ends or goes") {
    Host host;
    host.want("a");
    host.want("b");
    host.want("c");
    host.want("d");
    CHECK(host.is_placed("a"));
    CHECK(host.is_placed("b"));
    CHECK_FALSE(host.is_placed("c"));
    CHECK(host.reason("c") == "there is no room yet: it needs 128 MiB, and 0 MiB are free");
    CHECK(host.placer().used() == model::Resources{256, 2000, 2});

    host.end("a");
    CHECK(host.is_placed("c"));
    CHECK_FALSE(host.is_placed("d"));
    host.remove("b");
    CHECK(host.is_placed("d"));
    CHECK(host.placer().used() == model::Resources{256, 2000, 2});
}

TEST_CASE("of those that wait the higher priority gets room first, then the older") {
    Host host;
    host.want("full", 256);
    host.want("old");
    host.want("young");
    host.want("first", 128, 1);
    host.remove("full");
    CHECK(host.is_placed("first"));
    CHECK(host.is_placed("old"));
    CHECK_FALSE(host.is_placed("young"));
}

TEST_CASE("a small one gets what is left by a large one that waits") {
    Host host;
    host.want("a");
    host.want("large", 256);
    host.want("small");
    CHECK_FALSE(host.is_placed("large"));
    CHECK(host.is_placed("small"));
}

TEST_CASE("a cordoned host keeps all waiting until it takes more again") {
    Host host;
    host.set_scheduling(model::Scheduling::cordoned);
    host.want("a");
    CHECK(host.reason("a") == "the host takes no more: it is cordoned");
    host.set_scheduling(model::Scheduling::enabled);
    CHECK(host.is_placed("a"));
}

TEST_CASE("a host under memory pressure keeps all waiting until that is over") {
    Host host;
    host.set_memory_pressure("it has too little");
    host.want("a");
    CHECK(host.reason("a") == "under memory pressure: it has too little");
    model::MicroVmSpec spec;
    spec.name = "reserved";
    CHECK_FALSE(host.placer().reserve(spec));
    host.set_memory_pressure("");
    CHECK(host.is_placed("a"));
    CHECK(host.placer().reserve(spec));
}

TEST_CASE("room that was reserved in vain goes to who waits") {
    Host host;
    host.want("a");
    model::MicroVmSpec spec;
    spec.name = "reserved";
    auto reservation = host.placer().reserve(spec);
    REQUIRE(reservation);
    host.want("b");
    CHECK_FALSE(host.is_placed("b"));
    CHECK_FALSE(host.placer().reserve(spec));  // It is b's turn.
    reservation.reset();
    host.loop.settle();
    CHECK(host.is_placed("b"));
}

TEST_CASE("what runs counts and what waits gets its turn after a restart") {
    Host host;
    host.want("a");
    host.want("b");
    host.want("c");
    host.restart();
    CHECK(host.placer().used() == model::Resources{256, 2000, 2});
    host.remove("a");
    CHECK(host.is_placed("c"));
}

}  // namespace shoal::node::test
