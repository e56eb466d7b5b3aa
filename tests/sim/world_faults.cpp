// What goes wrong, and that it ends.
#include <algorithm>

#include "tests/sim/world.h"

namespace shoal::sim {

using namespace std::chrono_literals;

namespace {

// How long after the end of its fault, or of the store's absence then, and its deadline a host may
// still be taken for dead: it has to be seen.
constexpr auto grace = 6s;

}  // namespace

void World::excuse(std::size_t host, Time until) {
    const Time seen = std::max(until, server_.away_until()) + longest_deadline() + grace;
    excused_until_[host] = std::max(excused_until_[host], seen);
}

void World::fault() {
    const auto generation = generation_;
    timeline_.after(dice_.between(settings_.between_faults / 4, settings_.between_faults * 2),
                    [this, generation] {
                        if (generation != generation_) {
                            return;
                        }
                        ++outcome_.faults;
                        if (dice_.one_in(12)) {
                            server_.slowness = dice_.between(100ms, 3s);
                            const Time end = timeline_.now() + dice_.between(2s, 12s);
                            for (std::size_t i = 0; i < hosts_.size(); ++i) {
                                excuse(i, end);
                            }
                            timeline_.at(end, [this] { server_.slowness = {}; });
                        } else if (dice_.one_in(12)) {
                            const Time outage = dice_.between(500ms, 10s);
                            server_.go_away(timeline_.now() + outage);
                            // Who has just come back from a fault of its own is seen later.
                            for (Time& until : excused_until_) {
                                until += until > timeline_.now() ? outage : Time{};
                            }
                        } else if (dice_.one_in(4)) {
                            fault_of(dice_.below(settings_.leaders));
                        } else {
                            fault_of(dice_.below(hosts_.size()));
                        }
                        fault();
                    });
}

void World::fault_of(std::size_t index) {
    SimHost& host = *hosts_[index];
    const Time end = std::min(timeline_.now() + dice_.between(200ms, 15s), faults_end_);
    excuse(index, end);
    host.set_deadline(random_deadline());
    const auto at_end = [&](auto action) {
        timeline_.at(end, [this, index, generation = generation_, action] {
            if (generation == generation_) {
                action(*hosts_[index]);
            }
        });
    };
    switch (dice_.below(7)) {
        case 0:
        case 1:
            host.kill();
            return at_end([](SimHost& it) { it.start_agent(); });
        case 2:
            host.kill_agent();
            return at_end([](SimHost& it) { it.start_agent(); });
        case 3:
            return host.freeze_agent(end);
        case 4:
            host.set_link(Link::State::answers_lost);
            return at_end([](SimHost& it) { it.set_link(Link::State::up); });
        case 5:
            // Flaps.
            for (int i = 0; i < 6; ++i) {
                timeline_.after(i * 700ms, [this, index, i, generation = generation_] {
                    if (generation == generation_) {
                        hosts_[index]->set_link(i % 2 == 0 ? Link::State::down : Link::State::up);
                    }
                });
            }
            return excuse(index, timeline_.now() + 6 * 700ms);
        default:
            host.set_link(Link::State::down);
            return at_end([](SimHost& it) { it.set_link(Link::State::up); });
    }
}

// In half of all worlds one host never comes back.
void World::heal() {
    ++generation_;
    server_.slowness = {};
    const bool one_dies = dice_.one_in(2);
    const std::size_t dies = dice_.below(hosts_.size());
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
        excuse(i, timeline_.now());
        hosts_[i]->set_link(Link::State::up);
        if (one_dies && i == dies) {
            hosts_[i]->kill();
        } else {
            hosts_[i]->start_agent();
        }
    }
}

}  // namespace shoal::sim
