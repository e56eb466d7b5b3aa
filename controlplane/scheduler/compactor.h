// Compactor: has the store forget what is old. etcd keeps every change until it is told otherwise,
// and refuses all writes once it is full (2 GiB by default): heartbeats alone would get there.
//
// Every host notes the store's revision once in a while, so that one which has just come to lead
// need not begin anew; only who leads has the store forget. That is not conditioned on the
// leadership, as nothing is lost when two do it: what is forgotten is old for both.
#pragma once

#include <deque>
#include <memory>

#include "controlplane/failover/leadership.h"
#include "controlplane/store/event_loop.h"
#include "controlplane/store/store.h"

namespace shoal::scheduler {

struct CompactorTimes {
    failover::Time period = std::chrono::minutes{1};
    // How many notes are kept: 10 periods. For so long a watch may be resumed and a list go on.
    std::size_t notes = 10;
};

class Compactor {
public:
    // Borrows loop, store and leadership.
    Compactor(store::EventLoop& loop, store::Store& store, const failover::Leadership& leadership,
              CompactorTimes times = {})
        : loop_{loop}, store_{store}, leadership_{leadership}, times_{times} {}
    Compactor(const Compactor&) = delete;
    Compactor& operator=(const Compactor&) = delete;
    ~Compactor() = default;

    void start() { look(); }

private:
    void look();
    void note(const store::Lookup& leader);

    store::EventLoop& loop_;
    store::Store& store_;
    const failover::Leadership& leadership_;
    CompactorTimes times_;
    std::deque<store::Revision> notes_;  // the oldest one first
    std::shared_ptr<Compactor*> self_ = std::make_shared<Compactor*>(this);
};

}  // namespace shoal::scheduler
