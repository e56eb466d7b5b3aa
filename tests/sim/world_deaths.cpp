// A host dies, and the store's leader at the same moment: how long that takes, and whom it harms.
#include <algorithm>

#include "tests/sim/world.h"

namespace shoal::sim {

using namespace std::chrono_literals;

namespace {

// The deadline and 0.5 s, for clocks that are half a per cent slow.
constexpr Time longest_decision(Time deadline) {
    return deadline + 500ms + (deadline + 500ms) / 200;
}
// From the store's return to the decision, when it was away for longer than a deadline: until all
// have asked again, have given up and asked once more, and have had their time to be heard.
constexpr auto after_return = 4s;

}  // namespace

// With the usual deadline 2.8 s, of etcd's defaults: one round takes 1 to 2 s, two at most 2.8 s.
Time World::longest_election() const {
    const auto shortest =
        std::ranges::min_element(hosts_, {}, [](const auto& host) { return host->deadline(); });
    return (*shortest)->deadline() - 1200ms;
}

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

// So that the store's death meets a heartbeat on its way.
void World::step_to_commit(std::size_t host) {
    const Time limit = timeline_.now() + 1s;
    while (!hosts_[host]->is_committing() && timeline_.step(limit)) {
        truth_.check();
    }
}

void World::expect_taken(std::size_t host, Time since, Time away, Time limit) {
    excused_until_[host] = limit;
    while (taken_at_[host] <= since && timeline_.step(limit)) {
        truth_.check();
        if (away <= longest_election()) {
            expect_unfenced(host);
        }
    }
    if (taken_at_[host] <= since) {
        const auto seconds = [](Time time) {
            return std::to_string(std::chrono::duration<double>(time).count()) + " s";
        };
        throw Violation{"host " + hosts_[host]->name() + " died at " + seconds(since) +
                        ", the store was away for " + seconds(away) +
                        ", and its epoch is not taken by " + seconds(limit)};
    }
    ++outcome_.faults;
}

// `away`: for how long the store is.
void World::play_death(Time away) {
    const std::size_t dead = dice_.one_in(2) ? leading() : dice_.below(hosts_.size());
    if (dice_.one_in(2)) {
        step_to_commit(dead);
    }
    const Time death = timeline_.now();
    const Time in_time = death + longest_decision(hosts_[dead]->deadline());
    hosts_[dead]->kill();
    server_.go_away(death + away);
    if (away <= longest_election()) {
        expect_taken(dead, death, away, in_time);
        outcome_.slowest_decision =
            std::max(outcome_.slowest_decision, taken_at_[dead] - death - hosts_[dead]->deadline());
    } else {
        expect_taken(dead, death, away, std::max(in_time, death + away + after_return));
    }
    hosts_[dead]->start_agent();
    step_until(timeline_.now() + dice_.between(6s, 8s));
}

// A host is cut off as the store is back, once it has heard of the heartbeat that was on its way:
// nobody takes it over before its own time is over.
void World::play_cut(Time away) {
    const std::size_t cut = dice_.below(hosts_.size());
    step_to_commit(cut);
    const Time begin = timeline_.now();
    const auto before = hosts_[cut]->runs_until();
    server_.go_away(begin + away);
    while (hosts_[cut]->runs_until() == before && timeline_.step(begin + away + 1s)) {
        truth_.check();
    }
    hosts_[cut]->set_link(Link::State::down);
    const Time runs_until = hosts_[cut]->runs_until().value_or(begin);
    expect_taken(cut, begin, away, runs_until + 2s);  // It may be the leader's, cut off so late.
    if (taken_at_[cut] <= runs_until) {
        throw Violation{"host " + hosts_[cut]->name() + " was taken over while it ran"};
    }
    hosts_[cut]->set_link(Link::State::up);
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
            case 2:
            case 3:
                play_cut(dice_.between(300ms, longest_election()));
                break;
            default:
                play_death(dice_.between(300ms, longest_election()));
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
