// Checkpointer: saves the memory and the volumes of this host's microVMs that are to be restored
// elsewhere, again and again, while they run.
//
//     VMM       writes a snapshot behind its guest: the first one whole, then what has changed
//     outlet    brings it to the hosts that keep it, which merge it
//     store     has it as the microVM's checkpoint once it is on all their disks
//
// The checkpoint before it stays where it is until then. Whatever fails leaves that one, a reason
// in its record, and the next one is whole. Nothing is remembered that the store does not have but
// what the latest snapshot of each VMM was: a shoald that is started anew begins with a whole one.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/checkpoint/checkpoint_id.h"
#include "controlplane/node/checkpoint/checkpoint_outlet.h"
#include "controlplane/node/checkpoint/vmm_snapshot.h"
#include "controlplane/node/mirror/mirror.h"
#include "controlplane/node/process/runner.h"
#include "controlplane/node/process/vmm_client.h"
#include "controlplane/volume/volume_folder.h"

namespace shoal::node {

class Checkpointer final : public MirrorListener {
public:
    // At the same time; the others wait.
    static constexpr std::size_t max_at_once = 2;

    // What it borrows.
    struct Parts {
        store::EventLoop& loop;
        store::Store& store;
        const Mirror& mirror;
        const Runner& runner;
        VmmClient& client;
        CheckpointOutlet& outlet;
        const volumes::VolumeFolder& volumes;
    };

    // `host`: this host's name.
    Checkpointer(const Parts& parts, std::string host) : parts_{parts}, host_{std::move(host)} {}
    Checkpointer(const Checkpointer&) = delete;
    Checkpointer& operator=(const Checkpointer&) = delete;
    ~Checkpointer() override = default;

    // Once the mirror is ready.
    void start();
    void on_microvm_changed(const std::string& name) override;

private:
    using Duration = store::EventLoop::Duration;
    // What the VMM's latest snapshot was, and who has it.
    struct Latest {
        checkpoints::CheckpointId id;
        std::vector<std::string> hosts;
    };
    struct State {
        Duration due{};
        bool is_busy = false;
        std::optional<Latest> latest;
    };
    // One that is being made.
    struct Saving {
        Shipment shipment;
        std::string socket;  // of the VMM
        std::string taken_at;
        std::uint64_t pause_us = 0;
        Revision status_revision = 0;
    };
    using SavingRef = std::shared_ptr<Saving>;

    [[nodiscard]] bool is_mine(const std::string& name, const MicroVm& microvm) const;
    [[nodiscard]] static model::CheckpointPlan plan_of(const MicroVm& microvm);
    // What its files may have.
    [[nodiscard]] std::uint64_t size_of(const MicroVm& microvm, bool is_difference) const;
    [[nodiscard]] Duration interval_of(const std::string& name) const;
    void tick_later();
    void tick();
    void begin(const std::string& name, State& state);
    [[nodiscard]] std::optional<checkpoints::CheckpointId> base_for(
        const MicroVm& microvm, const State& state, const std::vector<std::string>& hosts) const;
    void order(const SavingRef& saving);
    void on_taken(const SavingRef& saving, const SnapshotTaken& taken);
    void on_shipped(const SavingRef& saving, const Shipped& shipped);
    void record(const SavingRef& saving, std::uint64_t sent_bytes);
    void on_recorded(const SavingRef& saving, bool is_recorded);
    void fail(const SavingRef& saving, const std::string& reason);
    void tell_failure(const std::string& name, const std::string& reason);
    void end(const std::string& name, std::optional<Latest> latest, Duration delay);
    // Runs it later, unless this is gone by then.
    template <typename Task>
    [[nodiscard]] auto guarded(Task task);

    Parts parts_;
    std::string host_;
    std::map<std::string, State> states_;
    std::size_t busy_ = 0;
    bool is_ticking_ = false;
    std::shared_ptr<Checkpointer*> self_ = std::make_shared<Checkpointer*>(this);
};

}  // namespace shoal::node
