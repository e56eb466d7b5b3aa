#include "controlplane/node/checkpoint/checkpoint_hosts.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

namespace shoal::node::test {

namespace {

using std::chrono::seconds;
using Hosts = std::map<std::string, HostEntry>;

constexpr seconds now{100};

void add(Hosts& hosts, const std::string& name, const std::string& zone) {
    HostEntry entry;
    entry.host.name = name;
    entry.host.zone = zone;
    entry.host.peer_address = name + ":1";
    entry.revision = 1;
    entry.heartbeat_revision = 1;
    entry.beat_at = now;
    hosts[name] = entry;
}

}  // namespace

TEST_CASE("a checkpoint is kept in other zones than its microVM's, each copy in one of its own") {
    Hosts hosts;
    for (const char* name : {"a1", "a2"}) {
        add(hosts, name, "a");
    }
    add(hosts, "b1", "b");
    add(hosts, "b2", "b");
    add(hosts, "c1", "c");
    for (const char* microvm : {"vm-0", "vm-1", "vm-2", "vm-3"}) {
        const auto holders = choose_holders(hosts, "a1", microvm, 2, now);
        REQUIRE(holders.size() == 2);
        CHECK(std::ranges::count(holders, "c1") == 1);
        CHECK(holders[0][0] != holders[1][0]);
        CHECK(std::ranges::count(holders, "a2") == 0);
    }
}

TEST_CASE("hosts that are silent, unreachable, draining or the microVM's own keep no checkpoint") {
    Hosts hosts;
    for (const char* name : {"self", "silent", "unreachable", "draining", "well"}) {
        add(hosts, name, "");
    }
    hosts["silent"].beat_at = now - seconds{3};
    hosts["draining"].host.scheduling = model::Scheduling::draining;
    hosts["unreachable"].host.peer_address.clear();
    CHECK(choose_holders(hosts, "self", "vm", 2, now) == std::vector<std::string>{"well"});
    hosts.erase("well");
    CHECK(choose_holders(hosts, "self", "vm", 1, now).empty());
}

TEST_CASE("a host that comes takes its share of checkpoints, and the others stay where they are") {
    Hosts hosts;
    for (int number = 0; number < 8; ++number) {
        add(hosts, "h" + std::to_string(number), "");
    }
    std::map<std::string, std::string> before;
    std::set<std::string> used;
    for (int number = 0; number < 400; ++number) {
        const std::string microvm = "vm-" + std::to_string(number);
        before[microvm] = choose_holders(hosts, "h0", microvm, 1, now).at(0);
        used.insert(before[microvm]);
    }
    CHECK(used.size() == 7);
    add(hosts, "h8", "");
    int moved = 0;
    for (const auto& [microvm, holder] : before) {
        const std::string after = choose_holders(hosts, "h0", microvm, 1, now).at(0);
        CHECK((after == holder || after == "h8"));
        moved += after == holder ? 0 : 1;
    }
    CHECK(moved > 20);  // of some 50
    CHECK(moved < 100);
}

}  // namespace shoal::node::test
