// Membership: this host's part in a cluster: its heartbeat, the epoch under which it runs microVMs,
// and the deadline that their VMMs look at (`shoal-vmm --fence`).
//
// When another host has its name the loop throws std::runtime_error, which says so.
//
// In the run folder, which a restart of the host deletes: `epoch`, for the next shoald, and
// `fence`.
#pragma once

#include <memory>
#include <string>

#include "controlplane/failover/host_heartbeat.h"
#include "controlplane/node/host_facts.h"
#include "controlplane/node/node_agent.h"
#include "devices/host/deadline_file.h"

namespace shoal::node {

struct MembershipSettings {
    std::string host;    // this host's name
    std::string folder;  // the run folder
    failover::HeartbeatTimes times{};
};

// Where a run folder's deadline is.
[[nodiscard]] std::string fence_path(const std::string& run_folder);

// On the loop's thread, whose clock must be CLOCK_BOOTTIME.
class Membership final : private failover::HeartbeatListener {
public:
    // Borrows all but the settings. Throws std::system_error.
    Membership(store::EventLoop& loop, store::Store& store, NodeAgent& agent, HostFacts& facts,
               const MembershipSettings& settings);
    Membership(const Membership&) = delete;
    Membership& operator=(const Membership&) = delete;
    ~Membership() override = default;

    void start();

private:
    void on_joined(model::Epoch epoch) override;
    void on_extended(failover::Time runs_until) override;
    void on_lost() override;
    void on_name_taken() override;

    NodeAgent& agent_;
    HostFacts& facts_;  // told once the name is this host's
    std::string host_;
    host::UniqueFd folder_;
    host::DeadlineFile fence_;
    failover::HostHeartbeat heartbeat_;
    std::shared_ptr<Membership*> self_ = std::make_shared<Membership*>(this);
};

}  // namespace shoal::node
