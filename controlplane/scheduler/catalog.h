// Catalog: all that the leader knows of hosts, groups and microVMs, kept up to date from the store,
// and what is to be done about each microVM. It decides nothing and writes nothing.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/failover/folder_follower.h"
#include "controlplane/failover/host_watch.h"
#include "controlplane/model/checkpoint.h"
#include "controlplane/model/group.h"
#include "controlplane/model/move.h"
#include "controlplane/scheduler/cluster.h"
#include "controlplane/scheduler/workload.h"

namespace shoal::scheduler {

// A transaction about a microVM, from its sending until the store's folders show what came of it.
enum class Flight { none, sent, settling };

struct MicroVm {
    struct At {
        HostIdx host = 0;
        model::Epoch epoch = 0;
        store::Revision revision = 0;
    };

    WorkloadRef workload;  // null: there is no spec
    model::HostFailurePolicy on_host_failure = model::HostFailurePolicy::restart;
    store::Revision created = 0;
    store::Revision revision = 0;  // of the spec
    std::size_t fingerprint = 0;   // of the spec, without its name and group
    std::vector<std::string> volumes;
    std::optional<At> placed;
    std::optional<model::Move> move;  // it is on its way to another host
    store::Revision move_revision = 0;
    // What it is restored from once its host is lost; without hosts: from nothing.
    std::optional<model::Checkpoint> checkpoint;
    // Of a record that is there and cannot be read: nothing is decided about it.
    bool has_damaged_spec = false;
    bool has_damaged_placement = false;
    bool has_damaged_move = false;
    bool is_deleted = false;   // somebody wants it gone
    bool is_running = false;   // as its host says
    bool is_finished = false;  // it ended, and is not started again
    bool has_succeeded = false;
    failover::Time runs_since{};  // as it was seen here
    failover::Time ran_for{};
    bool is_stopping = false;  // its host was told to
    bool has_reason = false;   // the store says why it is not placed
    // Who said the latest about how it is: of one that moved, the host that it left takes its word
    // back later.
    std::optional<HostIdx> status_of;
    Flight flight = Flight::none;
    failover::Time waits_since{};

    [[nodiscard]] bool is_deletable() const noexcept {
        return !has_damaged_placement && !has_damaged_move;
    }
    [[nodiscard]] bool is_damaged() const noexcept { return has_damaged_spec || !is_deletable(); }
};

[[nodiscard]] inline bool is_restorable(const MicroVm& microvm) noexcept {
    return microvm.on_host_failure == model::HostFailurePolicy::restore && microvm.checkpoint &&
           !microvm.checkpoint->hosts.empty();
}

// Of what a microVM is besides its name, its group and its volumes.
[[nodiscard]] std::size_t fingerprint_of(model::MicroVmSpec spec);

// Told when there is something to do.
class CatalogListener {
public:
    virtual ~CatalogListener() = default;
    virtual void on_work() = 0;
};

class Catalog {
public:
    // Most urgent first, then the oldest.
    using Pending = std::set<std::tuple<std::int64_t, store::Revision, std::string>>;
    using Names = std::set<std::string>;

    // Borrows loop, store and listener.
    Catalog(store::EventLoop& loop, store::Store& store, CatalogListener& listener);
    Catalog(const Catalog&) = delete;
    Catalog& operator=(const Catalog&) = delete;
    ~Catalog() = default;

    void start();
    // Everything was read once, and hosts_are_known() was called.
    [[nodiscard]] bool is_ready() const;
    void set_presence(const std::string& host, failover::Presence presence, model::Epoch epoch);
    void hosts_are_known() { hosts_known_ = true; }

    [[nodiscard]] Cluster& cluster() noexcept { return cluster_; }
    [[nodiscard]] MicroVm* find(const std::string& name);
    [[nodiscard]] const model::Group* group(const std::string& name) const;
    [[nodiscard]] model::Epoch epoch_of(HostIdx host) const;
    [[nodiscard]] store::Revision revision_of(HostIdx host) const { return hosts_[host].revision; }
    [[nodiscard]] bool is_suspected(HostIdx host) const { return hosts_[host].is_suspected; }
    // One that no other host reaches.
    [[nodiscard]] bool has_volume_of_host(const MicroVm& microvm) const;
    // With a spec. Nothing: none.
    [[nodiscard]] const Names* members(const std::string& group) const;
    // Its record cannot be read.
    [[nodiscard]] bool is_damaged_group(const std::string& name) const {
        return damaged_groups_.contains(name);
    }
    // Of the group's own description of its members.
    [[nodiscard]] std::size_t fingerprint_of_group(const std::string& name) const;

    // What is to be done; nothing about those in flight.
    [[nodiscard]] const Pending& pending() const noexcept { return pending_; }
    [[nodiscard]] const Names& lost() const noexcept { return lost_; }            // with their host
    [[nodiscard]] const Names& to_stop() const noexcept { return to_stop_; }      // by their host
    [[nodiscard]] const Names& to_forget() const noexcept { return to_forget_; }  // run nowhere
    [[nodiscard]] const Names& to_tidy() const noexcept { return to_tidy_; }  // a reason is left
    // On their way to a host that has died.
    [[nodiscard]] const Names& moves_lost() const noexcept { return moves_lost_; }
    // A record of a move is left, and no placement.
    [[nodiscard]] const Names& moves_to_tidy() const noexcept { return moves_to_tidy_; }
    // All that have a record.
    [[nodiscard]] const Names& moving() const noexcept { return moving_; }
    [[nodiscard]] Names take_changed_groups() { return std::exchange(changed_groups_, {}); }
    void mark_group(const std::string& name) { changed_groups_.insert(name); }
    // Those whose room is no longer to be held.
    [[nodiscard]] Names take_unwanted() { return std::exchange(unwanted_, {}); }

    void set_flight(const std::string& name, Flight flight);
    void set_stopping(const std::string& name);
    // An answer was lost: what came of it is read.
    void read_again();
    // Whether the folders ought to show by now what came of some transaction, and do not.
    [[nodiscard]] bool has_unsettled(failover::Time longer_than);

private:
    struct HostInfo {
        model::Epoch epoch = 0;
        store::Revision revision = 0;  // of the host's record
        bool is_suspected = false;
        Names placed;   // here, also those that ended
        Names bundles;  // templates and images whose files are here
    };
    // Passes on what one folder tells.
    struct Folder final : failover::FolderListener {
        using Put = void (Catalog::*)(const std::string&, const store::Entry&);
        using Gone = void (Catalog::*)(const std::string&);

        Folder(Catalog& owner, store::EventLoop& loop, store::Store& store, std::string_view prefix,
               Put on_put, Gone on_deleted)
            : catalog{owner},
              put{on_put},
              gone{on_deleted},
              follower{loop, store, std::string{prefix}, *this} {}
        void on_entry(const std::string& name, const store::Entry& entry) override {
            (catalog.*put)(name, entry);
        }
        void on_gone(const std::string& name) override { (catalog.*gone)(name); }
        void on_synced() override { catalog.on_synced(); }

        Catalog& catalog;
        Put put;
        Gone gone;
        failover::FolderFollower follower;
    };

    void on_host(const std::string& name, const store::Entry& entry);
    void on_host_gone(const std::string& name);
    void on_group(const std::string& name, const store::Entry& entry);
    void on_group_gone(const std::string& name);
    void on_spec(const std::string& name, const store::Entry& entry);
    void on_spec_gone(const std::string& name);
    void on_deletion(const std::string& name, const store::Entry& entry);
    void on_deletion_gone(const std::string& name);
    void on_placement(const std::string& name, const store::Entry& entry);
    void on_placement_gone(const std::string& name);
    void on_move(const std::string& name, const store::Entry& entry);
    void on_move_gone(const std::string& name);
    void on_checkpoint(const std::string& name, const store::Entry& entry);
    void on_checkpoint_gone(const std::string& name);
    void on_status(const std::string& path, const store::Entry& entry);
    void on_status_gone(const std::string& path);
    void on_volume(const std::string& name, const store::Entry& entry);
    void on_volume_gone(const std::string& name);
    void on_copy(const std::string& path, const store::Entry& entry);
    void on_copy_gone(const std::string& path);
    void on_synced();

    void set_volumes(const std::string& name, MicroVm& microvm, std::vector<std::string> volumes);
    // Where it can run, for its volumes.
    void set_place_of_volumes(const std::vector<std::string>& volumes, Workload& workload) const;
    void relocate_users(const std::string& volume);
    HostIdx host_of(const std::string& name);
    HostInfo& info_of(HostIdx host);
    [[nodiscard]] WorkloadRef workload_of(const model::MicroVmSpec& spec);
    void regroup(const std::string& group);
    void regroup_of(const MicroVm& member);
    void set_status(MicroVm& microvm, std::optional<model::Phase> phase);
    void refresh(const std::string& name);
    void refresh_placed(const std::string& name, MicroVm& microvm);
    void refresh_unplaced(const std::string& name, MicroVm& microvm);
    [[nodiscard]] WorkloadRef where_it_can_go_on(const MicroVm& microvm);
    [[nodiscard]] bool is_alive_under(const std::string& host, model::Epoch epoch) const;
    void unlist(const std::string& name, const MicroVm& microvm);
    void set_placed(const std::string& name, MicroVm& microvm, std::optional<MicroVm::At> at);

    store::EventLoop& loop_;
    CatalogListener& listener_;
    WorkloadTable workloads_;
    Cluster cluster_;
    std::vector<HostInfo> hosts_;  // by HostIdx
    std::unordered_map<std::string, model::Group> groups_;
    std::unordered_map<std::string, std::size_t> group_fingerprints_;
    Names damaged_groups_;
    std::unordered_map<std::string, Names> members_;
    std::unordered_map<std::string, MicroVm> microvms_;
    struct VolumePlace {
        std::string host;
        std::string storage;  // whose hosts will all do; empty: its host alone
    };
    std::unordered_map<std::string, VolumePlace> volumes_;      // by name
    std::unordered_map<std::string, Names> volume_users_;       // by volume: microVMs with a spec
    std::unordered_map<std::string, failover::Time> settling_;  // since
    Pending pending_;
    Names lost_;
    Names to_stop_;
    Names to_forget_;
    Names to_tidy_;
    Names moves_lost_;
    Names moves_to_tidy_;
    Names moving_;
    Names changed_groups_;
    Names unwanted_;
    bool hosts_known_ = false;
    bool was_ready_ = false;
    Folder hosts_folder_;
    Folder groups_folder_;
    Folder volumes_folder_;
    Folder specs_folder_;
    Folder deletions_folder_;
    Folder placements_folder_;
    Folder moves_folder_;
    Folder checkpoints_folder_;
    Folder statuses_folder_;
    Folder copies_folder_;
    std::array<Folder*, 10> folders_{&hosts_folder_, &groups_folder_,      &volumes_folder_,
                                     &specs_folder_, &deletions_folder_,   &placements_folder_,
                                     &moves_folder_, &checkpoints_folder_, &statuses_folder_,
                                     &copies_folder_};
};

}  // namespace shoal::scheduler
