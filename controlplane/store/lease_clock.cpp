// One timer for each lease: when it rings early, because of a renewal, it is set again.
#include "controlplane/store/lease_clock.h"

namespace shoal::store {

LeaseClock::LeaseClock(EventLoop& loop, Expired expired)
    : loop_{loop}, expired_{std::move(expired)} {}

void LeaseClock::add(LeaseId lease, std::chrono::seconds ttl) {
    leases_[lease] = {ttl, loop_.now() + ttl};
    wait(lease, ttl);
}

bool LeaseClock::renew(LeaseId lease) {
    const auto found = leases_.find(lease);
    if (found == leases_.end()) {
        return false;
    }
    found->second.deadline = loop_.now() + found->second.ttl;
    return true;
}

void LeaseClock::wait(LeaseId lease, EventLoop::Duration delay) {
    loop_.call_after(delay, [weak = std::weak_ptr{self_}, lease] {
        if (const auto self = weak.lock()) {
            (*self)->look_at(lease);
        }
    });
}

void LeaseClock::look_at(LeaseId lease) {
    const auto found = leases_.find(lease);
    if (found == leases_.end()) {
        return;
    }
    const auto left = found->second.deadline - loop_.now();
    if (left > EventLoop::Duration::zero()) {
        wait(lease, left);
        return;
    }
    leases_.erase(found);
    expired_(lease);
}

}  // namespace shoal::store
