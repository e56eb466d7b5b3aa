// HostHeartbeat: the host's side of liveness. Claims an epoch, compare-and-swaps the host's
// heartbeat twice a second, and knows until when its microVMs may run.
//
// One process of a host at a time. On the loop's thread.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "controlplane/failover/host_fence.h"
#include "controlplane/failover/host_silence.h"
#include "controlplane/model/host.h"
#include "controlplane/store/event_loop.h"
#include "controlplane/store/store.h"

namespace shoal::failover {

class HeartbeatListener {
public:
    virtual ~HeartbeatListener() = default;
    // The epoch is this host's: what is placed here under it may be started. To be kept for the
    // next process of this host, for as long as any of its microVMs is there.
    virtual void on_joined(model::Epoch epoch) = 0;
    // The microVMs may run until this moment of the loop's clock; it only grows within an epoch.
    // A process before this one may have been told a later one.
    virtual void on_extended(Time runs_until) = 0;
    // Others own the microVMs. To be answered by rejoin() once none of them is left.
    virtual void on_lost() = 0;
    // Another process sends heartbeats under this host's name: this one has stopped to try.
    virtual void on_name_taken() = 0;
};

struct HeartbeatTimes {
    Time period = std::chrono::milliseconds{500};
    Time deadline = default_deadline;  // from the shortest to the longest
};

class HostHeartbeat {
public:
    // Borrows the first two and the listener.
    HostHeartbeat(store::EventLoop& loop, store::Store& store, const std::string& host,
                  HeartbeatListener& listener, HeartbeatTimes times = {});
    HostHeartbeat(const HostHeartbeat&) = delete;
    HostHeartbeat& operator=(const HostHeartbeat&) = delete;
    ~HostHeartbeat() = default;

    // `kept`: the epoch of microVMs that are still there, started by a process before this one.
    void start(std::optional<model::Epoch> kept);
    void rejoin();
    [[nodiscard]] std::optional<model::Epoch> epoch() const noexcept { return epoch_; }
    [[nodiscard]] HostFence::State state(Time now) const noexcept { return fence_.state(now); }

private:
    void tick();
    void ask();
    void on_answer(store::Result<store::Lookup> lookup);
    void claim_if_silent(const model::Heartbeat& found, store::Revision revision);
    void claim(model::Epoch epoch, store::Revision over);
    void beat();
    void send(model::Heartbeat heartbeat, store::Revision over);
    void on_committed(model::Heartbeat heartbeat, Time sent, store::Result<store::Revision> result);
    void acknowledge(Time sent);
    void lose();

    store::EventLoop& loop_;
    store::Store& store_;
    std::string key_;
    HeartbeatListener& listener_;
    HeartbeatTimes times_;
    std::optional<model::Epoch> kept_;
    std::optional<model::Epoch> epoch_;
    bool is_lost_ = false;     // and waits for rejoin(), or the name is taken
    bool is_waiting_ = false;  // for an answer
    store::Revision revision_ = 0;
    // The last that was sent; an answer that got lost may have been a yes.
    model::Heartbeat last_;
    Time last_sent_{};
    bool is_in_doubt_ = true;
    HostFence fence_;  // of this epoch
    // Of whoever had this name before, while this one has no epoch: its first heartbeat seen here.
    std::optional<model::Heartbeat> stranger_;
    HostSilence stranger_silence_;
    std::shared_ptr<HostHeartbeat*> self_ = std::make_shared<HostHeartbeat*>(this);
};

}  // namespace shoal::failover
