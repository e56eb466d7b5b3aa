// TakeoverGate: whether the leader may take over one more silent host now. Few hosts die together;
// where many fall silent at once it is the network, the store or the leader itself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>

#include "controlplane/failover/host_fence.h"

namespace shoal::failover {

struct TakeoverLimits {
    // Nothing is taken over while more than the larger of both are silent.
    std::size_t silent_hosts = 2;
    std::size_t silent_percent = 20;
    // Of hosts.
    std::size_t burst = 8;
    Time interval = std::chrono::milliseconds{500};
};

class TakeoverGate {
public:
    explicit TakeoverGate(TakeoverLimits limits = {}) noexcept : limits_{limits} {}

    // `silent` of `hosts`, which are those that nobody has taken over.
    void look(std::size_t silent, std::size_t hosts) noexcept {
        silent_ = silent;
        hosts_ = hosts;
    }
    [[nodiscard]] bool is_stopped() const noexcept { return silent_ > most_silent(); }

    // Counts as one takeover where it says yes.
    [[nodiscard]] bool try_take(Time now) noexcept {
        const Time full = limits_.interval * static_cast<Time::rep>(limits_.burst);
        full_at_ = std::max(full_at_, now);
        if (is_stopped() || full_at_ + limits_.interval - now > full) {
            return false;
        }
        full_at_ += limits_.interval;
        return true;
    }

    // "failover is stopped: 30 of 100 hosts are silent, more than 20"; empty: it is not.
    [[nodiscard]] std::string reason() const {
        return is_stopped() ? "failover is stopped: " + std::to_string(silent_) + " of " +
                                  std::to_string(hosts_) + " hosts are silent, more than " +
                                  std::to_string(most_silent())
                            : "";
    }

private:
    [[nodiscard]] std::size_t most_silent() const noexcept {
        return std::max(limits_.silent_hosts, hosts_ * limits_.silent_percent / 100);
    }

    TakeoverLimits limits_;
    std::size_t silent_ = 0;
    std::size_t hosts_ = 0;
    Time full_at_{};  // when the burst is whole again
};

}  // namespace shoal::failover
