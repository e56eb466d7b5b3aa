// StoreProbe: asks the store again and again who leads. What is not heard from a host counts as its
// silence only while the store answers.
#pragma once

#include <functional>
#include <memory>

#include "controlplane/failover/host_fence.h"
#include "controlplane/store/event_loop.h"
#include "controlplane/store/store.h"

namespace shoal::failover {

class StoreProbe {
public:
    // Also told of failures. May destroy the probe.
    using Answered = std::function<void(const store::Result<store::Lookup>& leader)>;

    // Borrows loop and store. `period`: from an answer to the next question.
    StoreProbe(store::EventLoop& loop, store::Store& store, Time period, Answered answered)
        : loop_{loop}, store_{store}, period_{period}, answered_{std::move(answered)} {}
    StoreProbe(const StoreProbe&) = delete;
    StoreProbe& operator=(const StoreProbe&) = delete;
    ~StoreProbe() = default;

    void ask();

private:
    void on_answer(const store::Result<store::Lookup>& leader);

    store::EventLoop& loop_;
    store::Store& store_;
    Time period_;
    Answered answered_;
    std::shared_ptr<StoreProbe*> self_ = std::make_shared<StoreProbe*>(this);
};

}  // namespace shoal::failover
