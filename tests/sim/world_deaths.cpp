// A host dies, and the store's leader at the same moment: how long that takes, and whom it harms.
#include <algorithm>

#include "tests/sim/world.h"

namespace shoal::sim {

using namespace std::chrono_literals;

namespace {

// The deadline and 0.5 s, for clocks that are half a per cent slow.
constexpr auto longest_decision = 4500ms + 25ms;
// An election of etcd's with its defaults: one round takes 1 to 2 s, two at most 2.8 s.
constexpr auto longest_election = 2800ms;
// From the store's return to the decision, when it was away for longer than a deadline: until all
// have asked again, have given up and asked once more, and have had their time to be heard.
constexpr auto after_return = 4s;

}  // namespace

std::size_t World::leading() const {
    const auto found = std::ranges::find_if(
        hosts_, [](const auto& host) { return host->controller() != nullptr; });
    return static_cast<std::size_t>(found - hosts_.begin()) % hosts_.size();
}

void World::expect_unfenced(std::size_t dead) const {
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
        if (i != dead && !hosts_[i]->is_running_now()) {
            throw Violation{"host " + hosts_[i]->name() + " was healthy, and stood still"};
        }
    }
}

// `away`: for how long the store is.
void World::play_death(Time away) {
    const std::size_t dead = dice_.one_in(2) ? leading() : dice_.below(hosts_.size());
    const Time death = timeline_.now();
    const bool is_election = away <= longest_election;
    const Time limit = death + (is_election ? longest_decision : away + after_return);
    excused_until_[dead] = limit;
    hosts_[dead]->kill();
    server_.go_away(death + away);
    while (taken_at_[dead] <= death && timeline_.step(limit)) {
        truth_.check();
        if (is_election) {
            expect_unfenced(dead);
        }
    }
    if (taken_at_[dead] <= death) {
        throw Violation{"host " + hosts_[dead]->name() + " died at " +
                        std::to_string(std::chrono::duration<double>(death).count()) +
                        " s, the store was away for " +
                        std::to_string(std::chrono::duration<double>(away).count()) +
                        " s, and its epoch is not taken in time"};
    }
    if (is_election) {
        outcome_.slowest_decision = std::max(outcome_.slowest_decision, taken_at_[dead] - death);
    }
    ++outcome_.faults;
    hosts_[dead]->start_agent();
    step_until(timeline_.now() + dice_.between(6s, 8s));
}

Outcome World::run_deaths() {
    create_group(settings_.members);
    step_until(10s);
    for (int i = 0; i < 8; ++i) {
        switch (dice_.below(8)) {
            case 0:
                play_death(0s);
                break;
            case 1:
                play_death(10s);
                break;
            default:
                play_death(dice_.between(800ms, longest_election));
        }
    }
    if (const std::string what = unfinished(); !what.empty()) {
        throw Violation{"after the deaths: " + what};
    }
    outcome_.steps = timeline_.step_count();
    outcome_.microvms = specs_.size();
    return outcome_;
}

}  // namespace shoal::sim
