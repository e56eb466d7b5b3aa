// Both sides of a live migration over one store, with VMMs that answer as a table says.
#include "controlplane/node/mover.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/node/node_agent.h"
#include "tests/unit/controlplane/node/manual_store.h"
#include "tests/unit/controlplane/node/process/fake_runner.h"

namespace shoal::node::test {

namespace {

namespace keys = model::keys;
using model::Phase;
using std::chrono::milliseconds;
using std::chrono::seconds;

// What a VMM says of its migration, and what it was told.
class FakeVmm final : public VmmClient {
public:
    explicit FakeVmm(store::EventLoop& loop) : loop_{loop} {}

    void call(const std::string&, VmmRequest request, Handler handler) override {
        if (request.method != "GET") {
            orders.push_back(request.target + " " + request.body);
        }
        if (refusal.empty() && request.target == "/migration/receive") {
            phase = "Waiting";
        } else if (refusal.empty() && request.target == "/migration/send") {
            phase = "Greeting";
        }
        std::optional<VmmAnswer> answer;
        if (answers) {
            answer = request.method == "GET"
                         ? VmmAnswer{200, R"({"phase":")" + phase + R"(","address":")" + address +
                                              R"(","failure":")" + failure + R"("})"}
                         : VmmAnswer{refusal.empty() ? 204U : 400U,
                                     R"({"fault_message":")" + refusal + R"("})"};
        }
        loop_.post([handler = std::move(handler), answer = std::move(answer)]() mutable {
            handler(std::move(answer));
        });
    }

    bool answers = true;
    std::string phase = "None";
    std::string address;
    std::string failure;
    std::string refusal;
    std::vector<std::string> orders;

private:
    store::EventLoop& loop_;
};

// One host's inside.
struct Side {
    Side(ManualStore& shared, const std::string& name)
        : vmm{shared.loop},
          mirror{shared.loop, shared.store},
          mover{shared.loop, mirror, runner, vmm, {name, "10.0.0.1", "/bin/shoal-vmm", "/f"}},
          agent{shared.loop, shared.store, mirror, runner, {name, "/nowhere", "/bin/shoal", "/f"}} {
        runner.listener = &agent;
        agent.set_mover(mover);
        mirror.start([this](const store::Result<Revision>& ready) {
            REQUIRE(ready);
            mirror.add_listener(agent);
            agent.start();
            agent.take(1);
        });
        shared.loop.settle();
    }
    ~Side() { mirror.remove_listener(agent); }
    Side(const Side&) = delete;
    Side& operator=(const Side&) = delete;

    FakeVmm vmm;
    FakeRunner runner;
    Mirror mirror;
    Mover mover;
    NodeAgent agent;
};

// The destination's disk.
class FakeProvisions final : public Provisions {
public:
    void prepare(const MicroVm&, Launch&) override {}
    void describe(const MicroVm&, const Attempt&, model::MicroVmStatus&) const override {}
    [[nodiscard]] std::string root_of(const MicroVm&) override {
        return root.empty() ? throw NotYet{"it is being fetched from host from"} : root;
    }
    [[nodiscard]] std::string tap_of(const MicroVm&) override {
        return no_tap.empty() ? tap : throw NotYet{no_tap};
    }
    [[nodiscard]] std::vector<std::string> disks_of(const MicroVm&) override { return disks; }

    std::string root;  // empty: it is not there
    std::string tap;
    std::string no_tap;  // why there is none
    std::vector<std::string> disks;
};

class Pair : public ManualStore {
public:
    // A microVM runs at the source, and is to move.
    explicit Pair(FakeProvisions* provisions = nullptr) {
        if (provisions != nullptr) {
            to.mover.set_provisions(*provisions);
        }
        for (const char* host : {"from", "to"}) {
            put(keys::of(keys::heartbeats, host), model::to_json(model::Heartbeat{1, 1}));
        }
        model::MicroVmSpec spec;
        spec.name = "a";
        spec.program = "/bin/true";
        spec.time_limit_s = 60;
        put(keys::of(keys::microvms, "a"), model::to_json(spec));
        const model::Assignment run{1, model::Assignment::Wanted::run};
        commit({{},
                {store::Put{keys::of(keys::placements, "a"),
                            model::to_json(model::Placement{"from", 1})},
                 store::Put{keys::of(keys::assignments, "from", "a"), model::to_json(run)}}});
        attempt = {"a", from.mirror.find("a")->created, 0};
        from.runner.runs(attempt);
        loop.settle();
        model::Move move;
        move.from = "from";
        move.from_epoch = 1;
        move.to = "to";
        move.to_epoch = 1;
        put_move(move);
    }
    void put_move(const model::Move& move) {
        put(keys::of(keys::moves, "a"), model::to_json(move));
    }
    // Until the source has been told where to send.
    void begin() {
        to.vmm.address = "tcp:10.0.0.1:77";
        to.runner.runs(attempt);
        look();
    }
    void look() { loop.advance(milliseconds{50}); }
    std::string value(const std::string& key) {
        std::string found;
        store.get(key, [&found](const store::Result<store::Lookup>& lookup) {
            found = lookup && lookup->entry ? lookup->entry->value : "";
        });
        loop.settle();
        return found;
    }
    std::optional<model::Move> move() {
        const std::string text = value(keys::of(keys::moves, "a"));
        return text.empty() ? std::nullopt : std::optional{model::from_json<model::Move>(text)};
    }
    model::MicroVmStatus status(const std::string& host) {
        return model::from_json<model::MicroVmStatus>(value(keys::of(keys::statuses, host, "a")));
    }
    std::string placed() {
        return model::from_json<model::Placement>(value(keys::of(keys::placements, "a"))).host;
    }

    Side from{*this, "from"};
    Side to{*this, "to"};
    Attempt attempt;
};

}  // namespace

TEST_CASE("a microVM moves: one VMM waits, the other sends, and the placement follows the guest") {
    Pair pair;
    REQUIRE(pair.to.runner.launches.size() == 1);
    CHECK(pair.to.runner.launches[0].attempt == pair.attempt);
    CHECK(pair.to.runner.launches[0].time_limit_s == 1);  // FakeRunner's start is long ago.
    CHECK(pair.to.runner.launches[0].words ==
          std::vector<std::string>{"/bin/shoal-vmm", "--api-sock", "/run/a", "--level", "Off",
                                   "--fence", "/f", "--allow", "/run/a", "--allow", "/saves/a"});
    CHECK(pair.from.vmm.orders.empty());
    pair.begin();
    REQUIRE(pair.to.vmm.orders.size() == 1);
    CHECK(pair.to.vmm.orders[0] ==
          R"(/migration/receive {"listen":"tcp:10.0.0.1:0","plain":true})");
    CHECK(pair.move()->address == "tcp:10.0.0.1:77");
    REQUIRE(pair.from.vmm.orders.size() == 1);
    CHECK(pair.from.vmm.orders[0] ==
          R"(/migration/send {"destination":"tcp:10.0.0.1:77","plain":true})");
    CHECK(pair.placed() == "from");

    pair.from.vmm.phase = "Copying";
    pair.to.vmm.phase = "Receiving";
    pair.look();
    CHECK(pair.placed() == "from");
    pair.from.runner.ends(pair.attempt, 164);
    pair.loop.settle();
    CHECK(pair.status("from").phase == Phase::running);  // the other has the word
    pair.to.vmm.phase = "Running";
    pair.look();
    CHECK(pair.placed() == "to");
    CHECK_FALSE(pair.move());
    CHECK(pair.status("to").phase == Phase::running);
    CHECK(pair.status("to").restarts == 0);
    CHECK(pair.value(keys::of(keys::statuses, "from", "a")).empty());
    CHECK(pair.value(keys::of(keys::assignments, "from", "a")).empty());
    CHECK_FALSE(pair.value(keys::of(keys::assignments, "to", "a")).empty());
    CHECK(pair.from.runner.names().empty());
    // It is like any other there.
    pair.to.runner.ends(pair.attempt, 0);
    pair.loop.settle();
    CHECK(pair.status("to").phase == Phase::succeeded);
    CHECK(pair.from.runner.launches.size() == 1);
}

TEST_CASE("a destination has the image first, and its VMM takes it from there") {
    FakeProvisions provisions;
    Pair pair{&provisions};
    pair.look();
    CHECK(pair.to.runner.launches.empty());
    CHECK(pair.move()->failure.empty());
    SUBCASE("it comes") {
        provisions.root = "/images/x/root.erofs";
        pair.look();
        REQUIRE(pair.to.runner.launches.size() == 1);
        CHECK(pair.to.runner.launches[0].words.back() == "/images/x/root.erofs,ro");
        pair.begin();
        REQUIRE(pair.to.vmm.orders.size() == 1);
        CHECK(pair.to.vmm.orders[0] ==
              R"(/migration/receive {"listen":"tcp:10.0.0.1:0","plain":true,"drive_overrides":)"
              R"([{"drive_id":"root","path_on_host":"/images/x/root.erofs"}]})");
    }
    SUBCASE("it does not, and the microVM stays; the next move has as long") {
        const model::Move first = *pair.move();
        pair.loop.advance(seconds{31});
        CHECK(pair.to.runner.launches.empty());
        CHECK(pair.placed() == "from");
        CHECK(pair.status("from").reason ==
              "it could not move to to: it is being fetched from host from");
        REQUIRE_FALSE(pair.move());
        pair.put_move(first);
        pair.look();
        REQUIRE(pair.move());
        CHECK(pair.move()->failure.empty());
    }
}

TEST_CASE("a volume on a storage is where the destination has it, and becomes the destination's") {
    FakeProvisions provisions;
    provisions.root = "/images/x/root.erofs";
    provisions.disks = {"/mnt/disks/v.raw"};
    Pair pair{&provisions};
    model::MicroVmSpec spec;
    spec.name = "a";
    spec.program = "/bin/true";
    spec.volumes = {"v"};
    pair.put(keys::of(keys::microvms, "a"), model::to_json(spec));
    pair.put(keys::of(keys::volumes, "v"),
             model::to_json(
                 model::Volume{.name = "v", .size_mib = 1, .host = "from", .storage = "disks"}));
    pair.look();
    REQUIRE(pair.to.runner.launches.size() == 1);
    const auto& words = pair.to.runner.launches[0].words;
    CHECK(std::ranges::find(words, "/mnt/disks/v.raw") != words.end());  // it may open it
    pair.begin();
    REQUIRE(pair.to.vmm.orders.size() == 1);
    CHECK(pair.to.vmm.orders[0].ends_with(
        R"("drive_overrides":[{"drive_id":"disk0","path_on_host":"/mnt/disks/v.raw"},)"
        R"({"drive_id":"root","path_on_host":"/images/x/root.erofs"}]})"));
    const auto volume = [&] {
        return model::from_json<model::Volume>(pair.value(keys::of(keys::volumes, "v")));
    };
    CHECK(volume().host == "from");
    pair.to.vmm.phase = "Running";
    pair.look();
    CHECK(pair.placed() == "to");
    CHECK(volume().host == "to");
}

TEST_CASE("a guest on a network finds a TAP of its destination's, or stays") {
    FakeProvisions provisions;
    provisions.root = "/images/x/root.erofs";
    SUBCASE("there is one") {
        provisions.tap = "shabcdt12345678";
        Pair pair{&provisions};
        pair.begin();
        REQUIRE(pair.to.vmm.orders.size() == 1);
        CHECK(pair.to.vmm.orders[0].ends_with(
            R"(,"network_overrides":[{"iface_id":"eth0","host_dev_name":"shabcdt12345678"}]})"));
    }
    SUBCASE("there can be none") {
        provisions.no_tap = "network n: cannot open /dev/net/tun";
        Pair pair{&provisions};
        pair.loop.advance(seconds{31});
        CHECK(pair.to.runner.launches.empty());
        CHECK(pair.placed() == "from");
        CHECK(pair.status("from").reason ==
              "it could not move to to: network n: cannot open /dev/net/tun");
    }
}

TEST_CASE("a destination that never ran the guest says so, and the source goes on") {
    Pair pair;
    pair.begin();
    SUBCASE("the source is not in doubt") {
        pair.from.vmm.phase = "Copying";
        pair.to.runner.ends(pair.attempt, 165);
        pair.look();
        REQUIRE(pair.move());
        CHECK(pair.move()->failure == "its destination could not take it");
        pair.from.vmm.phase = "Resumed";
        pair.look();
    }
    SUBCASE("the source is in doubt, and is told") {
        pair.from.vmm.phase = "InDoubt";
        pair.look();
        CHECK(pair.from.vmm.orders.size() == 1);
        pair.to.runner.ends(pair.attempt, 165);
        pair.look();
        CHECK(pair.from.vmm.orders.back() == R"(/migration/resolve {"guest_runs":"Here"})");
        pair.from.vmm.phase = "Resumed";
        pair.look();
    }
    SUBCASE("the source noticed first") {
        pair.from.vmm.phase = "Resumed";
        pair.from.vmm.failure = "the wire is lost";
        pair.look();
        CHECK(pair.status("from").reason == "it could not move to to: the wire is lost");
        CHECK(pair.to.runner.stops.size() > 0);
        pair.to.runner.ends(pair.attempt, 137);
        pair.look();
    }
    CHECK_FALSE(pair.move());
    CHECK(pair.placed() == "from");
    CHECK(pair.status("from").phase == Phase::running);
    CHECK(pair.status("from").reason.starts_with("it could not move to to: "));
    CHECK(pair.from.runner.stops.empty());
    CHECK(pair.to.runner.names().empty());
}

TEST_CASE("who has come by a migration moves on, or stays, like any other") {
    Pair pair;
    pair.from.vmm.phase = "Running";
    SUBCASE("it moves") {
        pair.begin();
        CHECK(pair.from.vmm.orders.size() == 1);
        CHECK(pair.move());
    }
    SUBCASE("its new destination is lost") {
        model::Move move = *pair.move();
        move.is_lost = true;
        move.failure = "its destination to was lost";
        pair.put_move(move);
        pair.look();
        CHECK_FALSE(pair.move());
        CHECK(pair.placed() == "from");
    }
}

TEST_CASE("what a VMM refuses is the end of the move, with its sentence") {
    Pair pair;
    SUBCASE("the source's") {
        pair.from.vmm.refusal = "the drive d is another process's";
        pair.begin();
    }
    SUBCASE("the destination's") {
        pair.to.vmm.refusal = "the drive d is another process's";
        pair.to.runner.runs(pair.attempt);
        pair.look();
    }
    pair.look();
    CHECK_FALSE(pair.move());
    CHECK(pair.status("from").reason ==
          "it could not move to to: the drive d is another process's");
}

TEST_CASE("a destination that the source never reaches gives up") {
    Pair pair;
    pair.begin();
    SUBCASE("after a while") {
        pair.loop.advance(seconds{31});
    }
    SUBCASE("at once, when the source is lost") {
        pair.put(keys::of(keys::heartbeats, "from"), model::to_json(model::Heartbeat{2, 0}));
        pair.look();
    }
    CHECK(pair.to.vmm.orders.back() == "/migration/cancel {}");
}

TEST_CASE("it is too late to give up when the guest has come") {
    Pair pair;
    pair.begin();
    pair.to.vmm.refusal = "it is too late";
    pair.loop.advance(seconds{31});
    CHECK(pair.to.vmm.orders.back() == "/migration/cancel {}");
    REQUIRE(pair.move());
    CHECK(pair.move()->failure.empty());
    pair.to.vmm.phase = "Running";
    pair.look();
    CHECK(pair.placed() == "to");
}

TEST_CASE("a source that ends in any way waits for the word of the destination") {
    Pair pair;
    pair.begin();
    pair.from.runner.ends(pair.attempt, 137);
    pair.look();
    CHECK(pair.status("from").phase == Phase::running);
    SUBCASE("the guest had come") {
        pair.to.vmm.phase = "Running";
        pair.look();
        CHECK(pair.placed() == "to");
        CHECK(pair.status("to").phase == Phase::running);
    }
    SUBCASE("the guest died with the source") {
        pair.to.runner.ends(pair.attempt, 165);
        pair.look();
        CHECK(pair.placed() == "from");
        CHECK(pair.status("from").phase == Phase::failed);
        CHECK_FALSE(pair.move());
    }
}

TEST_CASE("a destination that has lost its process does not say that the guest never ran") {
    Pair pair;
    pair.begin();
    pair.from.vmm.phase = "InDoubt";
    pair.to.runner.vanishes(pair.attempt);
    pair.look();
    REQUIRE(pair.move());
    CHECK(pair.move()->is_lost);
    CHECK_FALSE(pair.from.runner.stops.empty());
    for (const std::string& order : pair.from.vmm.orders) {
        CHECK_FALSE(order.starts_with("/migration/resolve"));
    }
}

TEST_CASE("a guest that died after it had arrived is the destination's to account for") {
    Pair pair;
    pair.begin();
    pair.from.runner.ends(pair.attempt, 164);
    pair.to.runner.ends(pair.attempt, 3);
    pair.look();
    CHECK(pair.placed() == "to");
    CHECK(pair.status("to").phase == Phase::failed);
    CHECK(pair.status("to").exit_code == 3);
}

TEST_CASE("whose destination was lost with the guest is nowhere, and may be placed again") {
    Pair pair;
    pair.begin();
    model::Move move = *pair.move();
    move.is_lost = true;
    move.failure = "its destination to was lost";
    SUBCASE("the source had handed it over") {
        pair.from.runner.ends(pair.attempt, 164);
        pair.put_move(move);
    }
    SUBCASE("the source does not know") {
        pair.from.vmm.phase = "InDoubt";
        pair.put_move(move);
        pair.look();
        REQUIRE_FALSE(pair.from.runner.stops.empty());
        pair.from.runner.ends(pair.attempt, 137);
    }
    pair.look();
    CHECK(pair.value(keys::of(keys::placements, "a")).empty());
    CHECK_FALSE(pair.move());
    CHECK_FALSE(pair.value(keys::of(keys::microvms, "a")).empty());
}

TEST_CASE("whose destination was lost without the guest stays where it is") {
    Pair pair;
    pair.begin();
    model::Move move = *pair.move();
    move.is_lost = true;
    move.failure = "its destination to was lost";
    pair.from.vmm.phase = "Resumed";
    pair.put_move(move);
    pair.look();
    CHECK(pair.placed() == "from");
    CHECK_FALSE(pair.move());
    CHECK(pair.from.runner.stops.empty());
}

TEST_CASE("a microVM that is deleted while it moves is gone on both sides") {
    Pair pair;
    pair.begin();
    pair.put(keys::of(keys::deletions, "a"), model::to_json(model::Deletion{0}));
    REQUIRE_FALSE(pair.from.runner.stops.empty());
    pair.from.runner.ends(pair.attempt, 143);
    pair.look();
    CHECK(pair.value(keys::of(keys::placements, "a")).empty());
    CHECK_FALSE(pair.move());
    CHECK_FALSE(pair.to.runner.stops.empty());
    pair.to.runner.ends(pair.attempt, 137);
    pair.look();
    CHECK(pair.to.runner.names().empty());
}

}  // namespace shoal::node::test
