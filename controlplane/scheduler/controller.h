// Controller: what the leader does, again and again, about what the catalog lists: places what is
// pending, places again what was lost with its host, has hosts stop what shall not run, and keeps
// groups at their count. Every write is conditioned on the leadership.
//
// Lives for as long as its shoald leads. On the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/failover/host_watch.h"
#include "controlplane/failover/leadership.h"
#include "controlplane/model/back_off.h"
#include "controlplane/scheduler/catalog.h"
#include "controlplane/scheduler/drain_plan.h"
#include "controlplane/scheduler/group_plan.h"
#include "controlplane/scheduler/scheduler.h"

namespace shoal::scheduler {

struct ControllerSettings {
    failover::HostWatchTimes watch;
    SchedulerLimits scheduler;
    std::uint64_t seed = 0;
    failover::Time period = std::chrono::milliseconds{20};
    failover::Time long_wait = std::chrono::seconds{10};
    // A reason is told after this time, and told anew no sooner.
    failover::Time reason_interval = std::chrono::seconds{5};
    std::size_t batch = 1000;
    std::size_t transactions_in_flight = 256;
    std::size_t reasons = 100'000;  // remembered
    MoveLimits moves;
    // How often the fullest hosts are relieved by moves; 0: never.
    failover::Time rebalance_period{};
    failover::Time move_retry = std::chrono::seconds{10};  // after one that failed
};

class Controller final : private failover::HostWatchListener, private CatalogListener {
public:
    // Borrows loop, store and leadership, and what was seen of hosts before it led.
    Controller(store::EventLoop& loop, store::Store& store, failover::Leadership& leadership,
               ControllerSettings settings = {}, const failover::SilenceRecord* record = nullptr);
    Controller(const Controller&) = delete;
    Controller& operator=(const Controller&) = delete;
    ~Controller() override = default;

    void start();
    [[nodiscard]] Catalog& catalog() noexcept { return catalog_; }

private:
    struct Told {
        std::string reason;
        failover::Time at{};
    };
    using Names = std::vector<std::string>;
    // Adds what is to be written about one microVM.
    using Writer = std::function<void(const std::string&, MicroVm&, store::Transaction&)>;

    void tick();
    void write(const Names& names, const Writer& writer);
    void commit(Names names, store::Transaction transaction);
    void on_committed(const Names& names, const store::Result<store::Revision>& result);

    void relinquish(const std::string& name, MicroVm& microvm, store::Transaction& transaction);
    void stop(const std::string& name, MicroVm& microvm, store::Transaction& transaction);
    void forget(const std::string& name, MicroVm& microvm, store::Transaction& transaction);
    void bind(const std::string& name, MicroVm& microvm, store::Transaction& transaction);
    void reconcile_groups();
    void reconcile_group(const std::string& name);
    [[nodiscard]] MemberState state_of(const std::string& member, const std::string& group);
    void tell_taken(const std::string& group, const std::string& member, const MicroVm& there);
    void put_off(const std::string& member);
    void commit_group(const std::string& group, store::Transaction transaction);
    void reconcile_moves();
    void follow_moves();
    void drain(HostIdx host);
    void rebalance();
    void begin_moves(const std::vector<Move>& begun);
    void tell_drain(HostIdx host, const std::optional<model::Drain>& drain);
    [[nodiscard]] std::optional<std::string> why_immovable(const std::string& name);
    void place();
    [[nodiscard]] std::vector<Request> next_batch();
    void evict(const Decision& decision);
    void tell_reasons(const Decision& decision);
    void tell_failover();

    void on_presence(const std::string& host, failover::Presence presence,
                     model::Epoch epoch) override;
    void on_hosts_known() override { catalog_.hosts_are_known(); }
    void on_failover_stopped(const std::string& reason) override;
    void on_work() override { has_work_ = true; }

    store::EventLoop& loop_;
    store::Store& store_;
    failover::Leadership& leadership_;
    ControllerSettings settings_;
    bool has_work_ = true;
    Catalog catalog_;
    Scheduler scheduler_;
    failover::HostWatch watch_;
    std::string stopped_;                      // "failover is stopped: ..."; empty: it is not
    std::optional<std::string> told_stopped_;  // what the store says; nothing: nobody knows
    std::size_t in_flight_ = 0;
    Moves moves_;
    // As they were looked at last: where each comes from.
    std::unordered_map<std::string, HostIdx> followed_;
    Catalog::Names being_begun_;  // the store does not have them yet
    std::unordered_map<std::string, failover::Time> failed_moves_;
    struct ToldDrain {
        model::Drain drain;
        store::Revision revision = 0;  // of the host: who changes that deletes what was told
    };
    std::unordered_map<HostIdx, ToldDrain> told_drains_;
    failover::Time rebalanced_at_{};
    // Behind which of the pending ones the next batch begins; none: at the first.
    std::optional<Catalog::Pending::value_type> behind_;
    std::unordered_map<std::string, Told> told_;
    std::unordered_map<std::string, HostIdx> bound_;  // of this tick
    failover::Time looked_at_{};
    std::unordered_map<std::string, std::size_t> group_writes_;  // in flight
    Catalog::Names groups_later_;
    Catalog::Names singly_;  // groups whose last transaction was refused
    Catalog::Names taken_;   // members whose names others have, and that was logged
    std::unordered_map<std::string, model::BackOff> back_off_;  // of members that ended
    failover::Time groups_at_{};
    std::shared_ptr<Controller*> self_ = std::make_shared<Controller*>(this);
};

}  // namespace shoal::scheduler
