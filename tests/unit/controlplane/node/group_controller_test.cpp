#include "controlplane/node/group_controller.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/rfc3339.h"
#include "tests/unit/controlplane/node/manual_store.h"

namespace shoal::node::test {

namespace {

namespace keys = model::keys;
using model::Phase;
using std::chrono::milliseconds;
using std::chrono::seconds;

// The controller alone; the test plays the node agent.
class Cluster : public ManualStore {
public:
    Cluster() { restart(); }

    void restart() {
        controller_.reset();
        mirror_ = std::make_unique<Mirror>(loop, store);
        controller_ = std::make_unique<GroupController>(loop, store, *mirror_);
        mirror_->start([this](const store::Result<Revision>& ready) {
            REQUIRE(ready);
            mirror_->add_listener(*controller_);
            controller_->start();
        });
        loop.settle();
    }
    void put_group(std::uint64_t count, const std::string& program = "/bin/true") {
        model::Group group;
        group.name = "g";
        group.count = count;
        group.microvm.program = program;
        put(keys::of(keys::groups, "g"), model::to_json(group));
    }
    void set_phase(const std::string& name, Phase phase, seconds ran = {}) {
        model::MicroVmStatus status;
        status.phase = phase;
        status.started_at = to_rfc3339(1000);
        status.ended_at = to_rfc3339(1000 + milliseconds{ran}.count());
        put(keys::of(keys::statuses, "here/" + name), model::to_json(status));
    }
    // As the node agent does when its processes are gone.
    void forget(const std::string& name) {
        commit({{},
                {store::Delete{keys::of(keys::microvms, name)},
                 store::Delete{keys::of(keys::deletions, name)},
                 store::Delete{keys::of(keys::statuses, "here/" + name)}}});
    }
    void forget_deleted() {
        for (const std::string& name : names(true)) {
            forget(name);
        }
    }
    void run_all() {
        for (const std::string& name : names(false)) {
            set_phase(name, Phase::running);
        }
    }
    // Of microVMs that are being deleted, or that are not.
    std::vector<std::string> names(bool deleted) {
        std::vector<std::string> names;
        for (const auto& [name, microvm] : mirror_->microvms()) {
            if (microvm.revision != 0 && microvm.deletion.has_value() == deleted) {
                names.push_back(name);
            }
        }
        return names;
    }
    const MicroVm& microvm(const std::string& name) { return *mirror_->find(name); }

private:
    std::unique_ptr<Mirror> mirror_;
    std::unique_ptr<GroupController> controller_;
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a member's index is a number behind the group's name, written in one way") {
    CHECK(member_index("g", "g-0") == 0);
    CHECK(member_index("a-b", "a-b-17") == 17);
    for (const char* name :
         {"g", "g-", "g-01", "g-x", "g--1", "h-1", "gg-1", "g-1x", "g-99999999999999999999"}) {
        CAPTURE(name);
        CHECK_FALSE(member_index("g", name));
    }
}

TEST_CASE("each member names volumes of its own") {
    Cluster cluster;
    model::Group group;
    group.name = "g";
    group.count = 2;
    group.microvm.program = "/bin/true";
    group.volumes = {{"data", 1}, {"log", 2}};
    cluster.put(keys::of(keys::groups, "g"), model::to_json(group));
    CHECK(cluster.microvm("g-0").spec.volumes == Names{"g-0-data", "g-0-log"});
    CHECK(cluster.microvm("g-1").spec.volumes == Names{"g-1-data", "g-1-log"});
    cluster.run_all();
    CHECK(cluster.names(true).empty());
    group.volumes.pop_back();
    cluster.put(keys::of(keys::groups, "g"), model::to_json(group));
    CHECK(cluster.names(true).size() == 1);
}

TEST_CASE("a group gets its members, loses what is beyond its count, and all when it goes") {
    Cluster cluster;
    cluster.put_group(3);
    CHECK(cluster.names(false) == Names{"g-0", "g-1", "g-2"});
    CHECK(cluster.microvm("g-1").spec.group == "g");
    CHECK(cluster.microvm("g-1").spec.program == "/bin/true");
    cluster.put_group(1);
    CHECK(cluster.names(true) == Names{"g-1", "g-2"});
    cluster.forget_deleted();
    CHECK(cluster.names(false) == Names{"g-0"});
    cluster.put_group(2);
    CHECK(cluster.names(false) == Names{"g-0", "g-1"});
    cluster.commit({{}, {store::Delete{keys::of(keys::groups, "g")}}});
    CHECK(cluster.names(true) == Names{"g-0", "g-1"});
}

TEST_CASE("a group of more members than a transaction takes is complete") {
    Cluster cluster;
    cluster.put_group(300);
    CHECK(cluster.names(false).size() == 300);
    SUBCASE("then empty") {
        cluster.put_group(0);
    }
    SUBCASE("then gone") {
        cluster.commit({{}, {store::Delete{keys::of(keys::groups, "g")}}});
    }
    CHECK(cluster.names(true).size() == 300);
}

TEST_CASE("what is missing after a restart is made up for") {
    Cluster cluster;
    cluster.put_group(2);
    cluster.forget("g-0");
    CHECK(cluster.names(false) == Names{"g-0", "g-1"});
    // The group goes while no controller is there.
    cluster.store.remove(keys::of(keys::groups, "g"), [](const store::Result<Revision>&) {});
    cluster.restart();
    CHECK(cluster.names(true) == Names{"g-0", "g-1"});
}

TEST_CASE("a member that has ended is replaced, ever more slowly") {
    Cluster cluster;
    cluster.put_group(2);
    cluster.run_all();
    for (const int delay_s : {1, 2, 4, 8, 16, 32, 60, 60}) {
        cluster.set_phase("g-1", Phase::failed);
        CHECK(cluster.names(true) == Names{"g-1"});
        cluster.forget_deleted();
        cluster.loop.advance(seconds{delay_s} - milliseconds{10});
        CHECK(cluster.names(false) == Names{"g-0"});
        cluster.loop.advance(milliseconds{20});
        CHECK(cluster.names(false) == Names{"g-0", "g-1"});
    }
}

TEST_CASE("a member that ran for long is replaced at once, and one that is done after a second") {
    Cluster cluster;
    cluster.put_group(1);
    const auto replaced_after = [&](Phase phase, seconds ran, milliseconds delay) {
        cluster.set_phase("g-0", phase, ran);
        cluster.forget_deleted();
        cluster.loop.advance(delay - milliseconds{10});
        CHECK(cluster.names(false).empty() == (delay > milliseconds{10}));
        cluster.loop.advance(milliseconds{20});
        CHECK(cluster.names(false) == Names{"g-0"});
    };
    replaced_after(Phase::failed, seconds{0}, seconds{1});
    replaced_after(Phase::failed, seconds{59}, seconds{2});
    replaced_after(Phase::failed, seconds{60}, milliseconds{10});
    replaced_after(Phase::failed, seconds{0}, seconds{1});
    replaced_after(Phase::failed, seconds{0}, seconds{2});
    for (int time = 0; time < 3; ++time) {
        replaced_after(Phase::succeeded, seconds{0}, seconds{1});
    }
}

TEST_CASE("a changed template replaces one member at a time, while all others run") {
    Cluster cluster;
    cluster.put_group(3);
    cluster.run_all();
    cluster.put_group(3, "/bin/false");
    CHECK(cluster.names(true) == Names{"g-0"});
    cluster.forget_deleted();
    CHECK(cluster.names(true).empty());
    CHECK(cluster.microvm("g-0").spec.program == "/bin/false");
    cluster.set_phase("g-0", Phase::running);
    CHECK(cluster.names(true) == Names{"g-1"});
    for (int left = 0; left < 2; ++left) {
        cluster.forget_deleted();
        cluster.run_all();
    }
    CHECK(cluster.names(true).empty());
    CHECK(cluster.microvm("g-2").spec.program == "/bin/false");
}

TEST_CASE("a microVM that only has a member's name is left alone") {
    Cluster cluster;
    model::MicroVmSpec spec;
    spec.name = "g-0";
    spec.program = "/bin/sleep";
    cluster.put(keys::of(keys::microvms, "g-0"), model::to_json(spec));
    cluster.put_group(2);
    CHECK(cluster.names(false) == Names{"g-0", "g-1"});
    CHECK(cluster.microvm("g-0").spec.group.empty());
    cluster.put_group(0);
    CHECK(cluster.names(true) == Names{"g-1"});
    cluster.put_group(2);
    cluster.forget("g-0");
    CHECK(cluster.microvm("g-0").spec.group == "g");
}

}  // namespace shoal::node::test
