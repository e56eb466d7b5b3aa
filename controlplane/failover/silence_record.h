// SilenceRecord: what a host that does not lead sees of the others' silence. When it comes to lead,
// because the leader's host has died with others perhaps, it need not begin to count only then.
//
// Its looks are as good as a leader's: by its own clock, and only when the store has answered.
#pragma once

#include <string>
#include <unordered_map>

#include "controlplane/failover/folder_follower.h"
#include "controlplane/failover/host_silence.h"
#include "controlplane/failover/store_probe.h"

namespace shoal::failover {

class SilenceRecord final : private FolderListener {
public:
    // Borrows loop and store. `period`: between looks, well within the limits' longest gap.
    SilenceRecord(store::EventLoop& loop, store::Store& store, SilenceLimits limits = {},
                  Time period = std::chrono::milliseconds{400});

    void start();
    // As it was seen last, valid until the loop goes on; null: not at all.
    [[nodiscard]] const HostSilence* find(const std::string& host) const;

private:
    void look();

    void on_entry(const std::string& name, const store::Entry& entry) override;
    void on_gone(const std::string& name) override { hosts_.erase(name); }
    void on_synced() override {}

    store::EventLoop& loop_;
    SilenceLimits limits_;
    std::unordered_map<std::string, HostSilence> hosts_;
    FolderFollower follower_;
    StoreProbe probe_;
};

}  // namespace shoal::failover
