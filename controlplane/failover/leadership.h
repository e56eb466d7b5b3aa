// Leadership: which shoald leads, by a lease in the store. A lease is not a clock: who leads writes
// nothing without guard(), which fails once somebody else has led. So a leader whose host is silent
// need not be waited for: etcd begins its leases anew when its own leader dies.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "controlplane/failover/host_fence.h"
#include "controlplane/failover/silence_record.h"
#include "controlplane/store/event_loop.h"
#include "controlplane/store/store.h"

namespace shoal::failover {

class LeadershipListener {
public:
    virtual ~LeadershipListener() = default;
    virtual void on_leading() = 0;
    virtual void on_following() = 0;
};

struct LeadershipTimes {
    std::chrono::seconds lease{3};
    Time renewal = std::chrono::seconds{1};
    Time look = std::chrono::milliseconds{500};  // of others, whether there is a leader
    // Two looks of the record's: a needless election harms nobody.
    Time settling = std::chrono::milliseconds{300};
};

class Leadership {
public:
    // Borrows the first two, the listener and the record (null: only leases count). `name` is the
    // host's.
    Leadership(store::EventLoop& loop, store::Store& store, const std::string& name,
               LeadershipListener& listener, LeadershipTimes times = {},
               const SilenceRecord* record = nullptr);
    Leadership(const Leadership&) = delete;
    Leadership& operator=(const Leadership&) = delete;
    ~Leadership() = default;

    void start() { tick(); }
    // The first condition of every transaction of the leader's; nothing: not leading.
    [[nodiscard]] std::optional<store::Condition> guard() const;
    // A guarded transaction was refused: looks whether that was the guard.
    void check();

private:
    void tick();
    void look(store::Result<store::Lookup> lookup);
    [[nodiscard]] bool is_silent(const store::Entry& leader) const;
    void campaign(store::Revision over);
    void stand(store::LeaseId lease, store::Revision over);
    void renew();
    void lead(store::Revision revision);
    void step_down();

    store::EventLoop& loop_;
    store::Store& store_;
    std::string value_;
    LeadershipListener& listener_;
    LeadershipTimes times_;
    const SilenceRecord* record_;
    store::LeaseId lease_ = 0;
    store::Revision revision_ = 0;  // of the leader's key, while leading
    bool is_waiting_ = false;
    Time renewed_{};  // when the last renewal was sent that was acknowledged
    std::shared_ptr<Leadership*> self_ = std::make_shared<Leadership*>(this);
};

}  // namespace shoal::failover
