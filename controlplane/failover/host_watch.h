// HostWatch: the leader's side of failover. Sees each host's heartbeat, probes that the store
// works, says which hosts are alive, suspected and lost, and takes the epochs of those that fell
// silent.
//
// Lives for as long as its shoald leads.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "controlplane/failover/folder_follower.h"
#include "controlplane/failover/host_silence.h"
#include "controlplane/failover/leadership.h"
#include "controlplane/failover/silence_record.h"
#include "controlplane/failover/takeover_gate.h"
#include "controlplane/model/host.h"

namespace shoal::failover {

enum class Presence {
    alive,
    suspected,  // silent for half its deadline: groups without state may replace its microVMs
    vacant,     // its epoch is taken: what was placed there under an older one is lost
};

class HostWatchListener {
public:
    virtual ~HostWatchListener() = default;
    // What is placed under an older epoch than this one runs no more, and never will.
    virtual void on_presence(const std::string& host, Presence presence, model::Epoch epoch) = 0;
    // All heartbeats have been read.
    virtual void on_hosts_known() = 0;
    // Failover stopped, or goes on (empty).
    virtual void on_failover_stopped(const std::string& reason) = 0;
};

struct HostWatchTimes {
    SilenceLimits silence;
    Time look = std::chrono::milliseconds{100};
    TakeoverLimits takeover;
};

class HostWatch final : private FolderListener {
public:
    // Borrows all but the times. `record`: what was seen before this host led; null: nothing.
    HostWatch(store::EventLoop& loop, store::Store& store, Leadership& leadership,
              HostWatchListener& listener, HostWatchTimes times = {},
              const SilenceRecord* record = nullptr);

    void start();

private:
    struct Seen {
        model::Heartbeat heartbeat;
        store::Revision revision = 0;
        HostSilence silence;
        Presence told = Presence::vacant;
        bool is_taking = false;
    };

    void on_probed(const store::Result<store::Lookup>& leader);
    void look();
    // Whether its silence lasts long enough for its epoch to be taken.
    [[nodiscard]] bool look_at(const std::string& host, Seen& seen, Time now);
    void take(const std::string& host, Seen& seen);
    void on_taken(const std::string& host, model::Heartbeat heartbeat,
                  store::Result<store::Revision> result);
    void tell(const std::string& host, Seen& seen, Presence presence);

    void on_entry(const std::string& name, const store::Entry& entry) override;
    void on_gone(const std::string& name) override;
    void on_synced() override;

    store::EventLoop& loop_;
    store::Store& store_;
    Leadership& leadership_;
    HostWatchListener& listener_;
    HostWatchTimes times_;
    const SilenceRecord* record_;
    TakeoverGate gate_;
    bool was_stopped_ = false;
    std::unordered_map<std::string, Seen> hosts_;
    FolderFollower follower_;
    StoreProbe probe_;
    std::shared_ptr<HostWatch*> self_ = std::make_shared<HostWatch*>(this);
};

}  // namespace shoal::failover
