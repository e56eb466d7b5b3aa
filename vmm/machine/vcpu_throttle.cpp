// A timer that pauses and resumes vCPUs.
#include "vmm/machine/vcpu_throttle.h"

#include <utility>

#include "devices/host/check.h"

namespace shoal::vmm {
namespace {

// Short enough for a guest not to notice, and long against the 0.1 ms of a pause.
constexpr std::chrono::microseconds period{10'000};

}  // namespace

void VcpuThrottle::set(unsigned percent) {
    SHOAL_CHECK(percent < 100);
    const bool was_off = percent_ == 0;
    percent_ = percent;
    if (percent == 0) {
        timer_.cancel();
        if (std::exchange(is_standing_, false)) {
            run();
        }
    } else if (was_off) {
        stand();
    }
}

void VcpuThrottle::run() {
    is_standing_ = false;
    for (const auto& vcpu : vcpus_) {
        vcpu->resume();
    }
    if (percent_ > 0) {
        after(period * (100 - percent_) / 100, &VcpuThrottle::stand);
    }
}

void VcpuThrottle::stand() {
    is_standing_ = true;
    for (const auto& vcpu : vcpus_) {
        vcpu->pause();
    }
    after(period * percent_ / 100, &VcpuThrottle::run);
}

// A handler that was due when the throttle was set to 0 does nothing.
void VcpuThrottle::after(std::chrono::microseconds delay, void (VcpuThrottle::*next)()) {
    timer_.expires_after(delay);
    timer_.async_wait([this, next](const boost::system::error_code& error) {
        if (!error && percent_ > 0) {
            (this->*next)();
        }
    });
}

}  // namespace shoal::vmm
