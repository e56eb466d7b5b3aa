// World: a cluster, its users and its faults, from a seed. Throws Violation when a rule is broken.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/model/group.h"
#include "tests/sim/dice.h"
#include "tests/sim/network.h"
#include "tests/sim/sim_host.h"
#include "tests/sim/timeline.h"
#include "tests/sim/truth.h"

namespace shoal::sim {

enum class Mutation {
    none,
    no_fence,     // microVMs run on past their host's deadline
    no_margin,    // the leader does not wait for the deadline before it takes an epoch
    no_settling,  // nor, after the store was away, until the living are heard again
    no_holds,     // no room is held for those that have waited for long
};

struct WorldSettings {
    std::uint64_t seed = 0;
    std::size_t hosts = 5;
    std::size_t leaders = 3;
    std::uint64_t members = 20;  // of the groups that are there from the beginning
    bool groups_change = true;
    bool own_deadlines = true;  // of hosts, where the seed is odd
    Time faults_last = std::chrono::seconds{60};
    Time between_faults = std::chrono::seconds{2};
    Time converges_within = std::chrono::seconds{60};
    Mutation mutation = Mutation::none;
    std::string trace;  // changes of keys that contain it are printed
};

struct Outcome {
    std::uint64_t history = 0;  // a hash of all changes and their times
    std::uint64_t steps = 0;
    std::uint64_t takeovers = 0;
    std::uint64_t faults = 0;
    std::size_t microvms = 0;
    Time all_placed_after{};  // those from the beginning
    Time converged_after{};   // the end of the faults
    Time slowest_decision{};  // after the deadline of who died in an election of the store's
};

class World {
public:
    explicit World(const WorldSettings& settings);

    Outcome run();
    // More jobs than fit come all the time; a large microVM must find its room all the same.
    Outcome run_crowded();
    // Hosts die one by one, and with most of them the store's leader: each is taken over in time,
    // and nobody else is fenced or taken over.
    Outcome run_deaths();

private:
    struct Spec {
        model::Resources resources;
        std::string group;
    };

    void add_hosts();
    [[nodiscard]] bool has_own_deadlines() const;
    [[nodiscard]] Time longest_deadline() const;
    [[nodiscard]] Time random_deadline();
    void step_until(Time until);
    // What keeps it from being as it should be; empty: nothing.
    [[nodiscard]] std::string unfinished() const;
    [[nodiscard]] std::string unfinished_group(const model::Group& group) const;

    void user_acts();
    void create_single();
    void create_group(std::uint64_t count);
    void change_group();
    void delete_single();
    void put(const std::string& key, const std::string& value);
    [[nodiscard]] model::MicroVmSpec random_spec();

    void play_death(Time away);
    void play_cut(Time away);
    void expect_taken(std::size_t host, Time since, Time away, Time limit);
    void step_to_commit(std::size_t host);
    [[nodiscard]] std::size_t leading() const;
    // Of the store's leader, for which nobody is fenced and a death is decided in time.
    [[nodiscard]] Time longest_election() const;
    void expect_unfenced(std::size_t dead) const;

    void crowd();
    [[nodiscard]] std::size_t working() const { return specs_.size() - finished_.size(); }

    void fault();
    void fault_of(std::size_t host);
    void heal();
    void excuse(std::size_t host, Time until);

    void on_event(const store::Event& event);
    void on_checkpoint(const std::string& name, const store::Event& event);
    void on_heartbeat(const std::string& host, const store::Event& event);

    WorldSettings settings_;
    Dice dice_;
    Timeline timeline_;
    Server server_{timeline_, dice_};
    Truth truth_;
    std::vector<std::unique_ptr<SimHost>> hosts_;
    std::unordered_map<std::string, std::size_t> host_idx_;
    std::vector<Time> excused_until_;  // by host: until when it may be taken for dead
    std::vector<Time> taken_at_;       // by host: when its epoch was taken last
    Time faults_end_{};
    std::uint64_t generation_ = 0;  // of faults: heal() ends those before
    std::uint64_t next_name_ = 0;

    // What the store has.
    std::unordered_map<std::string, Spec> specs_;
    std::unordered_map<std::string, std::string> placements_;  // to hosts
    std::unordered_map<std::string, store::Revision> placed_at_;
    std::set<std::string> checkpoints_;                     // who has one
    std::unordered_map<std::string, std::string> volumes_;  // hosts, by name, as microVMs' names
    std::set<std::string> deletions_;
    std::set<std::string> finished_;
    std::map<std::string, model::Group> groups_;
    std::unordered_map<std::string, std::uint64_t> members_;
    std::vector<std::string> singles_;
    Outcome outcome_;
};

}  // namespace shoal::sim
