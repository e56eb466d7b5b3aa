// Mirror: all that the store has, decoded and in memory, kept up to date by one watch. What reads
// and reconciles looks here; what changes something commits to the store and sees it come back.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/model/group.h"
#include "controlplane/model/host.h"
#include "controlplane/model/microvm.h"
#include "controlplane/model/move.h"
#include "controlplane/node/mirror/attempt.h"
#include "controlplane/node/mirror/objects.h"
#include "controlplane/store/event_loop.h"
#include "controlplane/store/store.h"

namespace shoal::node {

using store::Revision;

// What the store has of a microVM under one host's name. For a moment there may be several: of the
// host that it left, and of the one that it came to.
struct AtHost {
    std::optional<model::MicroVmStatus> status;
    Revision status_revision = 0;  // 0: there is none
    std::optional<model::Assignment> assignment;

    [[nodiscard]] bool is_empty() const { return status_revision == 0 && !assignment; }
};

// A record that cannot be read is there: its revision is known. What it says is not, so that
// nothing is ended, deleted or begun because of it.
struct MicroVm {
    model::MicroVmSpec spec;  // of one that cannot be read: what was known before, or its name
    Revision created = 0;
    Revision revision = 0;  // of the spec; 0: there is none, only what others left
    std::optional<model::Placement> placement;
    Revision placement_revision = 0;
    std::optional<model::Deletion> deletion;
    Revision deletion_revision = 0;
    std::optional<model::Move> move;
    Revision move_revision = 0;
    std::optional<model::Checkpoint> checkpoint;
    Revision checkpoint_revision = 0;
    bool has_damaged_spec = false;
    std::vector<std::pair<std::string, AtHost>> at_hosts;  // by name; few
    // Of the host where it is placed; of one that is placed nowhere, why.
    std::optional<model::MicroVmStatus> status;
    Revision status_revision = 0;  // 0: there is none

    [[nodiscard]] const AtHost& at(std::string_view host) const;
    // What it is, where it is or where it goes cannot be read.
    [[nodiscard]] bool is_damaged() const noexcept {
        return has_damaged_spec || (placement_revision != 0 && !placement) ||
               (move_revision != 0 && !move) || (status_revision != 0 && !status);
    }
};

[[nodiscard]] inline bool has_ended(const MicroVm& microvm) noexcept {
    return microvm.status && (microvm.status->phase == model::Phase::succeeded ||
                              microvm.status->phase == model::Phase::failed);
}

// How it runs now, or shall.
[[nodiscard]] inline Attempt attempt_of(const std::string& name, const MicroVm& microvm) {
    return {name, microvm.created, microvm.status ? microvm.status->restarts : 0};
}

// Whether it goes on from a checkpoint when it is started. Whatever ends it otherwise than by the
// loss of its host deletes the record.
[[nodiscard]] inline bool is_restorable(const MicroVm& microvm) noexcept {
    return microvm.spec.on_host_failure == model::HostFailurePolicy::restore &&
           microvm.checkpoint && !microvm.checkpoint->hosts.empty();
}

struct GroupEntry {
    model::Group group;
    Revision revision = 0;
    Revision created = 0;
};

struct HostEntry {
    model::Host host;
    Revision revision = 0;  // of the host; 0: only its heartbeat is there
    model::Heartbeat heartbeat;
    Revision heartbeat_revision = 0;
    store::EventLoop::Duration beat_at{};  // when its last heartbeat was seen here
    std::optional<model::Drain> drain;     // while it is draining
};

// Told after the mirror has changed. On the loop's thread.
class MirrorListener {
public:
    virtual ~MirrorListener() = default;
    virtual void on_microvm_changed(const std::string& name) = 0;
    virtual void on_group_changed(const std::string&) {}
    virtual void on_host_changed(const std::string&) {}    // heartbeats are no changes
    virtual void on_bundle_changed(const std::string&) {}  // a template or image
    virtual void on_network_changed(const std::string&) {}
    virtual void on_address_changed(const std::string&) {}  // in this network
    virtual void on_leader_changed(const std::string&) {}
};

// What the store has, by names.
struct Contents {
    std::map<std::string, MicroVm> microvms;
    std::map<std::string, GroupEntry> groups;
    std::set<std::string> damaged_groups;
    std::map<std::string, HostEntry> hosts;
    std::string failover_stopped;  // why; empty: it is not
    std::string leader;            // the host that leads; empty: none, or it is alone
    Objects objects;

    // `now`: when it was seen.
    void apply(const store::Event& event, store::EventLoop::Duration now);

private:
    void apply_microvm(const std::string& name, const store::Event& event);
    static void apply_at_host(MicroVm& microvm, const store::Event& event);
    void apply_group(const std::string& name, const store::Event& event);
    void apply_host(const std::string& name, const store::Event& event);
    void apply_drain(const std::string& name, const store::Event& event);
    void tidy_host(const std::string& name);
    void apply_heartbeat(const std::string& name, const store::Event& event,
                         store::EventLoop::Duration now);
};

class Mirror final : private store::Watcher {
public:
    using Ready = std::move_only_function<void(store::Result<Revision>)>;

    // Borrows both.
    Mirror(store::EventLoop& loop, store::Store& store) : loop_{loop}, store_{store} {}

    // Reads everything, then calls `ready` once. The listeners hear of what comes after that.
    void start(Ready ready);
    // Borrowed until it is removed, which it may be at any time.
    void add_listener(MirrorListener& listener) { listeners_.insert(&listener); }
    void remove_listener(MirrorListener& listener) { listeners_.erase(&listener); }

    // Of one that was asked for; else null.
    [[nodiscard]] const MicroVm* find(const std::string& name) const;
    [[nodiscard]] const std::map<std::string, MicroVm>& microvms() const {
        return contents_.microvms;
    }
    [[nodiscard]] const std::map<std::string, GroupEntry>& groups() const {
        return contents_.groups;
    }
    // Its record cannot be read.
    [[nodiscard]] bool is_damaged_group(const std::string& name) const {
        return contents_.damaged_groups.contains(name);
    }
    [[nodiscard]] const std::map<std::string, HostEntry>& hosts() const { return contents_.hosts; }
    // Of one that is in the cluster; else null, also where a heartbeat is left of one that was.
    [[nodiscard]] const HostEntry* find_host(const std::string& name) const;
    [[nodiscard]] const Objects& objects() const { return contents_.objects; }
    [[nodiscard]] const std::string& failover_stopped() const { return contents_.failover_stopped; }
    [[nodiscard]] const std::string& leader() const { return contents_.leader; }
    [[nodiscard]] Revision revision() const noexcept { return revision_; }

    // Runs `task` once the mirror shows what was committed at `revision`.
    void when(Revision revision, store::EventLoop::Task task);

private:
    void read_page(std::string after, Revision at);
    void on_page(store::Result<store::Page> page);
    void watch();
    void adopt(Revision revision);
    void tell(void (MirrorListener::*what)(const std::string&), const std::string& name);
    void reached(Revision revision);

    void on_changes(std::span<const store::Event> events) override;
    void on_compacted(Revision compacted) override;
    void on_reconnected() override;

    store::EventLoop& loop_;
    store::Store& store_;
    std::set<MirrorListener*> listeners_;
    Ready ready_;
    std::unique_ptr<store::Watch> watch_;
    Contents contents_;
    Contents read_;  // so far; the old contents stay until all is there
    Revision revision_ = 0;
    std::multimap<Revision, store::EventLoop::Task> waiting_;
    // What waits in the loop finds the mirror gone.
    std::shared_ptr<Mirror*> self_ = std::make_shared<Mirror*>(this);
};

}  // namespace shoal::node
