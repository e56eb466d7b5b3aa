// LeaseClock: when which lease ends. For the stores that have no server to do it.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>

#include "controlplane/store/event_loop.h"
#include "controlplane/store/types.h"

namespace shoal::store {

// The loop's thread only.
class LeaseClock {
public:
    using Expired = std::move_only_function<void(LeaseId)>;

    // `expired` is called once for each lease that is neither renewed in time nor removed.
    LeaseClock(EventLoop& loop, Expired expired);
    LeaseClock(const LeaseClock&) = delete;
    LeaseClock& operator=(const LeaseClock&) = delete;
    ~LeaseClock() = default;

    void add(LeaseId lease, std::chrono::seconds ttl);
    // False: there is no such lease, or no longer.
    [[nodiscard]] bool renew(LeaseId lease);
    void remove(LeaseId lease) { leases_.erase(lease); }
    [[nodiscard]] std::size_t count() const noexcept { return leases_.size(); }

private:
    struct Term {
        std::chrono::seconds ttl;
        EventLoop::Duration deadline;
    };

    void wait(LeaseId lease, EventLoop::Duration delay);
    void look_at(LeaseId lease);

    EventLoop& loop_;
    Expired expired_;
    std::map<LeaseId, Term> leases_;
    // A timer that outlives this object finds it gone.
    std::shared_ptr<LeaseClock*> self_ = std::make_shared<LeaseClock*>(this);
};

}  // namespace shoal::store
