// The cluster and its rules. Users are in world_users.cpp, faults in world_faults.cpp.
#include "tests/sim/world.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <iostream>

#include "controlplane/model/json.h"
#include "controlplane/model/keys.h"
#include "controlplane/model/volume.h"

namespace shoal::sim {

namespace keys = model::keys;
using namespace std::chrono_literals;

World::World(const WorldSettings& settings) : settings_{settings}, dice_{settings.seed} {
    server_.on_event = [this](const store::Event& event) { on_event(event); };
    add_hosts();
}

void World::add_hosts() {
    for (std::size_t i = 0; i < settings_.hosts; ++i) {
        HostSettings host;
        host.facts.name = "h" + std::to_string(i);
        host.facts.zone = "z" + std::to_string(i % 3);
        host.facts.allocatable = {32 << 10, 256'000, 256};
        // Half a per cent is more than any clock is wrong by.
        host.clock.rate = 1.0 + (static_cast<double>(dice_.below(1001)) - 500) / 100'000;
        host.clock.offset = dice_.between(1s, 1000s);
        host.deadline = random_deadline();
        host.may_lead = i < settings_.leaders;
        host.has_no_fence = settings_.mutation == Mutation::no_fence;
        host.controller.seed = settings_.seed;
        if (settings_.mutation == Mutation::no_holds) {
            host.controller.scheduler.holds_for_long_waits = 0;
        }
        if (settings_.mutation == Mutation::no_margin) {
            host.controller.watch.silence.margin = -1s;
        }
        if (settings_.mutation == Mutation::no_settling) {
            host.controller.watch.silence.settling = 0s;
            host.controller.watch.silence.long_settling = 0s;
        }
        host_idx_[host.facts.name] = i;
        hosts_.push_back(std::make_unique<SimHost>(server_, truth_, std::move(host)));
        excused_until_.push_back(5s);
        taken_at_.emplace_back();
    }
}

bool World::has_own_deadlines() const {
    return settings_.own_deadlines && settings_.seed % 2 == 1;
}

Time World::longest_deadline() const {
    return has_own_deadlines() ? 8s : failover::default_deadline;
}

Time World::random_deadline() {
    return has_own_deadlines() ? dice_.between(2s, longest_deadline()) : failover::default_deadline;
}

void World::step_until(Time until) {
    while (timeline_.step(until)) {
        truth_.check();
    }
}

Outcome World::run() {
    for (std::uint64_t left = settings_.members; left > 0;) {
        const auto count = std::min({left, settings_.members / 4 + 1, std::uint64_t{50'000}});
        create_group(count);
        left -= count;
    }
    const Time longest_start = 60s;
    do {
        step_until(timeline_.now() + 100ms);
    } while (!unfinished().empty() && timeline_.now() < longest_start);
    if (const std::string what = unfinished(); !what.empty()) {
        throw Violation{"not even before any fault: " + what};
    }
    outcome_.all_placed_after = timeline_.now();
    faults_end_ = timeline_.now() + settings_.faults_last;
    fault();
    user_acts();
    step_until(faults_end_);
    heal();
    const Time limit = timeline_.now() + settings_.converges_within;
    while (!unfinished().empty()) {
        if (timeline_.now() >= limit) {
            throw Violation{"does not converge: " + unfinished()};
        }
        step_until(timeline_.now() + 500ms);
    }
    outcome_.converged_after = timeline_.now() - faults_end_;
    // And it stays so.
    step_until(timeline_.now() + 10s);
    if (const std::string what = unfinished(); !what.empty()) {
        throw Violation{"does not stay as it should be: " + what};
    }
    outcome_.steps = timeline_.step_count();
    outcome_.microvms = specs_.size();
    return outcome_;
}

Outcome World::run_crowded() {
    crowd();
    step_until(timeline_.now() + 30s);
    model::MicroVmSpec large;
    large.name = "large";
    large.program = "/bin/true";
    large.memory_mib = 24 << 10;
    put(keys::of(keys::microvms, large.name), model::to_json(large));
    const Time begin = timeline_.now();
    while (!placements_.contains(large.name)) {
        if (timeline_.now() - begin > 90s) {
            throw Violation{"a large microVM starves: small ones pass it for ever"};
        }
        step_until(timeline_.now() + 100ms);
    }
    outcome_.all_placed_after = timeline_.now() - begin;
    outcome_.steps = timeline_.step_count();
    outcome_.microvms = specs_.size();
    return outcome_;
}

std::string World::unfinished() const {
    if (!deletions_.empty()) {
        return *deletions_.begin() + " is not deleted";
    }
    for (const auto& [name, group] : groups_) {
        if (auto what = unfinished_group(group); !what.empty()) {
            return what;
        }
    }
    for (const auto& [name, spec] : specs_) {
        if (finished_.contains(name)) {
            continue;
        }
        const auto placement = placements_.find(name);
        if (placement == placements_.end()) {
            if (volumes_.contains(name) && !checkpoints_.contains(name)) {
                continue;  // Its volume's host may be dead, or full.
            }
            return name + " is not placed";
        }
        const auto& holders = truth_.holders(name);
        if (hosts_[host_idx_.at(placement->second)]->has_finished(name)) {
            continue;
        }
        if (holders.size() != 1 || holders[0]->name() != placement->second ||
            !holders[0]->is_running_now()) {
            return name + " does not run on " + placement->second +
                   ", where it is placed: " + std::to_string(holders.size()) + " hosts hold it" +
                   (holders.empty() ? "" : ", one is " + holders[0]->name());
        }
    }
    for (const std::string& name : checkpoints_) {
        if (!specs_.contains(name)) {
            return name + " is gone, but not the record of its checkpoint";
        }
    }
    for (const auto& [name, host] : placements_) {
        if (!specs_.contains(name)) {
            return name + " is gone, but not its placement";
        }
    }
    std::size_t held = 0;
    for (const auto& host : hosts_) {
        held += host->vm_count();
    }
    return held > specs_.size() ? "there are microVMs that nobody wants" : "";
}

std::string World::unfinished_group(const model::Group& group) const {
    const auto found = members_.find(group.name);
    const std::uint64_t count = found == members_.end() ? 0 : found->second;
    return count == group.count ? ""
                                : group.name + " has " + std::to_string(count) + " members, not " +
                                      std::to_string(group.count);
}

void World::on_heartbeat(const std::string& host, const store::Event& event) {
    if (event.kind != store::Event::Kind::put ||
        model::from_json<model::Heartbeat>(event.entry.value).sequence != 0) {
        return;
    }
    ++outcome_.takeovers;
    taken_at_.at(host_idx_.at(host)) = timeline_.now();
    if (timeline_.now() > excused_until_.at(host_idx_.at(host))) {
        throw Violation{"host " + host + " was healthy, and its epoch was taken"};
    }
}

// Nobody but the host where it is placed says what it goes on from.
void World::on_checkpoint(const std::string& name, const store::Event& event) {
    if (event.kind == store::Event::Kind::deleted) {
        checkpoints_.erase(name);
        return truth_.recorded(name, 0);
    }
    const auto record = model::from_json<model::Checkpoint>(event.entry.value);
    if (!placements_.contains(name) || record.placement != placed_at_[name]) {
        throw Violation{"a host that has lost " + name + " has written a checkpoint of it"};
    }
    checkpoints_.insert(name);
    truth_.recorded(name, record.generation);
}

void World::on_event(const store::Event& event) {
    const std::string& key = event.entry.key;
    const bool is_put = event.kind == store::Event::Kind::put;
    if (!settings_.trace.empty() && key.find(settings_.trace) != std::string::npos) {
        std::cout << std::chrono::duration<double>(timeline_.now()).count() << "  " << key << "  "
                  << (is_put ? event.entry.value : "(deleted)") << std::endl;
    }
    outcome_.history = (outcome_.history ^ std::hash<std::string>{}(key + event.entry.value) ^
                        static_cast<std::uint64_t>(timeline_.now().count())) *
                       0x100000001b3ULL;
    const std::string folder = key.substr(0, key.find('/', 1) + 1);
    const std::string name = key.substr(key.rfind('/') + 1);
    if (folder == keys::heartbeats) {
        on_heartbeat(name, event);
    } else if (folder == keys::microvms && is_put) {
        const auto spec = model::from_json<model::MicroVmSpec>(event.entry.value);
        members_[spec.group] += specs_.contains(name) ? 0U : 1U;
        specs_[name] = {spec.resources(), spec.group};
    } else if (folder == keys::microvms) {
        --members_[specs_[name].group];
        specs_.erase(name);
        finished_.erase(name);
    } else if (folder == keys::placements && is_put) {
        placements_[name] = model::from_json<model::Placement>(event.entry.value).host;
        placed_at_[name] = event.entry.mod_revision;
    } else if (folder == keys::placements) {
        placements_.erase(name);
    } else if (folder == keys::deletions) {
        is_put ? static_cast<void>(deletions_.insert(name))
               : static_cast<void>(deletions_.erase(name));
    } else if (folder == keys::checkpoints) {
        on_checkpoint(name, event);
    } else if (folder == keys::volumes && is_put) {
        volumes_[name] = model::from_json<model::Volume>(event.entry.value).host;
        truth_.has_volume(name, volumes_[name]);
    } else if (folder == keys::groups && is_put) {
        groups_[name] = model::from_json<model::Group>(event.entry.value);
    } else if (folder == keys::groups) {
        groups_[name].count = 0;
    } else if (folder == keys::statuses) {
        const auto phase = is_put ? model::from_json<model::MicroVmStatus>(event.entry.value).phase
                                  : model::Phase::pending;
        const bool is_final = phase == model::Phase::succeeded || phase == model::Phase::failed;
        is_final ? static_cast<void>(finished_.insert(name))
                 : static_cast<void>(finished_.erase(name));
    }
}

}  // namespace shoal::sim
