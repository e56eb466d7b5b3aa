// SimHost: a simulated host: its clock, its microVMs' processes, and its shoald, which runs the
// real heartbeat and, on some hosts, the real leader. Each of them may die without the others.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "controlplane/failover/folder_follower.h"
#include "controlplane/failover/host_heartbeat.h"
#include "controlplane/model/host.h"
#include "controlplane/model/microvm.h"
#include "controlplane/scheduler/leader.h"
#include "tests/sim/network.h"
#include "tests/sim/truth.h"

namespace shoal::sim {

struct HostSettings {
    model::Host facts;
    VirtualLoop::Clock clock;
    Time deadline = failover::default_deadline;
    bool may_lead = false;
    bool has_no_fence = false;  // a mutation that the checks must find
    scheduler::ControllerSettings controller;
};

class SimHost {
public:
    SimHost(Server& server, Truth& truth, HostSettings settings);
    SimHost(const SimHost&) = delete;
    SimHost& operator=(const SimHost&) = delete;
    ~SimHost();

    [[nodiscard]] const std::string& name() const noexcept { return settings_.facts.name; }
    // Whether what is loaded here executes: a VMM pauses it by itself at its deadline.
    [[nodiscard]] bool is_running_now() const;
    [[nodiscard]] bool holds(const std::string& microvm) const { return vms_.contains(microvm); }
    // It ended by itself, and the store may not have been told yet.
    [[nodiscard]] bool has_finished(const std::string& microvm) const {
        return finished_.contains(microvm);
    }
    [[nodiscard]] std::size_t vm_count() const noexcept { return vms_.size(); }
    [[nodiscard]] bool has_agent() const noexcept { return agent_ != nullptr; }
    // Null: none here.
    [[nodiscard]] scheduler::Controller* controller();
    [[nodiscard]] bool is_healthy() const;
    // Until when, as it knows; nothing: it has not joined.
    [[nodiscard]] std::optional<Time> runs_until() const;
    [[nodiscard]] bool is_committing() const;
    [[nodiscard]] Time deadline() const noexcept { return settings_.deadline; }
    // Of the next agent.
    void set_deadline(Time deadline) noexcept { settings_.deadline = deadline; }

    void start_agent();
    void kill_agent();
    void freeze_agent(Time until);
    void kill();  // with everything on it; start_agent() boots it, and its clock begins anew
    void set_link(Link::State state);

private:
    struct Vm {
        model::Resources resources;
        std::uint64_t load = 0;        // which of all loads: a timer of an older one is not its own
        std::uint64_t generation = 0;  // of the checkpoint that it goes on from; 0: it began anew
    };
    class Agent;

    void load(const std::string& microvm, const model::Resources& resources,
              std::uint64_t generation);
    void unload(const std::string& microvm);

    Server& server_;
    Truth& truth_;
    HostSettings settings_;
    VirtualLoop clock_;
    // What outlives the agent.
    std::map<std::string, Vm> vms_;
    std::set<std::string> finished_;  // what ended by itself, and is not started again
    model::Resources used_;
    std::uint64_t load_count_ = 0;
    std::optional<model::Epoch> kept_;
    std::optional<Time> runs_until_;  // of the host's clock
    Link::State link_ = Link::State::up;
    Time frozen_until_{};
    std::unique_ptr<Agent> agent_;
};

}  // namespace shoal::sim
